variable "name" {
  type    = string
  default = "lighterage"
}

variable "region" {
  type = string
}

variable "vpc_id" {
  type = string
}

variable "public_subnet_ids" {
  description = "Of the balancer, in two zones."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Of the containers; with a way out to S3, SQS and the registry."
  type        = list(string)
}

variable "image" {
  type = string
}

variable "certificate_arn" {
  type = string
}

variable "task_role_arn" {
  description = "Role of the module `core`, which ecs-tasks.amazonaws.com may take (trusted_services)."
  type        = string
}

variable "bucket" {
  type = string
}

variable "queue_url" {
  description = "queue_url of the module `core`. Not set: jobs are handed out by the records."
  type        = string
  default     = ""
}

variable "mongo_secret_arn" {
  description = "Secret (Secrets Manager) with LIGHTERAGE_MONGO_URL: several containers share their records."
  type        = string
}

variable "admin_secret_arn" {
  description = "Secret with LIGHTERAGE_ADMIN_PASSWORD."
  type        = string
}

variable "settings" {
  type    = map(string)
  default = {}
}

variable "server_count" {
  type = object({ min = number, max = number })
  default = {
    min = 2
    max = 10
  }
}

variable "worker_count" {
  type    = number
  default = 1
}

variable "tags" {
  type    = map(string)
  default = {}
}
