variable "name" {
  description = "Put before the name of everything, as lighterage-prod."
  type        = string
  default     = "lighterage"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.name))
    error_message = "Small letters, digits and dashes, 3 to 40 of them: it becomes part of the bucket's name."
  }
}

variable "bucket_name" {
  description = "Name of the bucket. Not set: one that begins with `name` and that nobody else has."
  type        = string
  default     = null
}

variable "upload_lifetime_days" {
  description = "LIGHTERAGE_UPLOAD_LIFETIME_HOURS in days: how long an unfinished upload is kept after its last bytes."
  type        = number
  default     = 7
}

variable "kms_key_arn" {
  description = "Key for the bucket, the queue and the table. Not set: keys that AWS manages."
  type        = string
  default     = null
}

variable "versioning" {
  description = "Keep what is overwritten or deleted for 30 days; a part of the backup."
  type        = bool
  default     = true
}

variable "cors_origins" {
  description = "Origins whose pages may read from and write to the bucket directly."
  type        = list(string)
  default     = []
}

variable "trusted_services" {
  description = "Services of AWS that may take the role, as ec2.amazonaws.com."
  type        = list(string)
  default     = ["ec2.amazonaws.com"]
}

variable "oidc" {
  description = "Kubernetes service account that may take the role (IRSA): what the module `eks` gives out."
  type = object({
    provider_arn    = string
    issuer          = string # without https://
    namespace       = string
    service_account = string
  })
  default = null
}

variable "cdn" {
  description = "Put CloudFront before the bucket, for downloads."
  type        = bool
  default     = false
}

variable "cdn_public_key_pem" {
  description = "Public key of signed CloudFront addresses; needed with `cdn`."
  type        = string
  default     = null
}

variable "tags" {
  type    = map(string)
  default = {}
}
