variable "name" {
  type    = string
  default = "lighterage"
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  description = "Public subnets; the instance is in the first, a balancer in two."
  type        = list(string)
}

variable "instance_type" {
  description = "t3a.micro has 1 GiB of memory, of which the container takes half."
  type        = string
  default     = "t3a.micro"
}

variable "ami_id" {
  description = "Amazon Linux 2023 or Debian. Not set: the newest Amazon Linux 2023."
  type        = string
  default     = null
}

variable "image" {
  description = "Container image."
  type        = string
}

variable "volume_gib" {
  description = "Of /data: files without a bucket, else parts that wait for S3."
  type        = number
  default     = 20
}

variable "settings" {
  description = "Settings by their variables, as LIGHTERAGE_SIGN_UP. Secrets belong into `secret_parameters`."
  type        = map(string)
  default     = {}
}

variable "secret_parameters" {
  description = "Variables by the SSM parameter (SecureString) that holds their value."
  type        = map(string)
  default     = {}
}

variable "role_name" {
  description = "Role of the module `core`. Not set: the instance may use nothing of AWS but its parameters."
  type        = string
  default     = null
}

variable "front" {
  description = <<-EOT
    What stands in front: `alb` (recommended: bodies of any size, an hour of idleness), `apigw`, or `none`.
    An API Gateway (HTTP API) takes 10 MB in a body and 30 seconds for an answer, and neither can be raised: clients must send
    chunks below that, and live events break off after 30 seconds.
  EOT
  type        = string
  default     = "alb"

  validation {
    condition     = contains(["alb", "apigw", "none"], var.front)
    error_message = "One of alb, apigw, none."
  }
}

variable "certificate_arn" {
  description = "Certificate (ACM) of the balancer; needed with `alb`."
  type        = string
  default     = null
}

variable "allowed_cidrs" {
  description = "Networks that may reach the front; with `none`, the instance."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "tags" {
  type    = map(string)
  default = {}
}
