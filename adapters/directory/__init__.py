"""Where the profiles of the directory are kept: domain.profile.Directory."""
