"""Who may: passwords, tokens and the policy table."""
