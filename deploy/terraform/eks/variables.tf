variable "name" {
  description = "Of the cluster, and put before the name of everything else."
  type        = string
  default     = "lighterage"
}

variable "kubernetes_version" {
  type    = string
  default = "1.34"
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS wants subnets in two zones at least."
  }
}

variable "public_access_cidrs" {
  description = "Networks that may reach the cluster's own API. Empty: only the VPC."
  type        = list(string)
  default     = []
}

variable "instance_types" {
  type    = list(string)
  default = ["t3a.medium"]
}

variable "node_count" {
  type = object({ min = number, max = number })
  default = {
    min = 2
    max = 6
  }
}

variable "namespace" {
  description = "Where the Helm chart is installed."
  type        = string
  default     = "lighterage"
}

variable "service_account" {
  description = "Name of the chart's service account: that of the release."
  type        = string
  default     = "lighterage"
}

variable "tags" {
  type    = map(string)
  default = {}
}
