terraform {
  required_version = ">= 1.7" # `terraform test` with mock providers

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
    }
  }
}
