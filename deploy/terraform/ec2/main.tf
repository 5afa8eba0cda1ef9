# One machine with a container, and what stands in front of it.

locals {
  tags      = merge({ Application = "lighterage", Name = var.name }, var.tags)
  is_direct = var.front == "none"
  # Behind an API Gateway a body must be smaller than its 10 MB; clients are told so by the size of chunks in the guide.
  proxies = { alb = data.aws_vpc.this.cidr_block, apigw = data.aws_vpc.this.cidr_block, none = "" }[var.front]
  environment = merge(
    {
      LIGHTERAGE_HOST             = "0.0.0.0"
      LIGHTERAGE_QUERY_MEMORY_MIB = "64"
      LIGHTERAGE_S3_PART_SLOTS    = "2"
    },
    local.proxies == "" ? {} : { LIGHTERAGE_TRUSTED_PROXIES = local.proxies },
    var.front == "apigw" ? { LIGHTERAGE_PROXY_FIELDS = "forwarded" } : {},
    var.settings,
  )
}

data "aws_vpc" "this" {
  id = var.vpc_id
}

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0
  name  = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

# ---- who may reach it

resource "aws_security_group" "instance" {
  name_prefix = "${var.name}-"
  description = "Lighterage"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "instance" {
  security_group_id = aws_security_group.instance.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_vpc_security_group_ingress_rule" "direct" {
  for_each          = toset(local.is_direct ? var.allowed_cidrs : [])
  security_group_id = aws_security_group.instance.id
  cidr_ipv4         = each.key
  from_port         = 8000
  to_port           = 8000
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "front" {
  count                        = local.is_direct ? 0 : 1
  security_group_id            = aws_security_group.instance.id
  referenced_security_group_id = aws_security_group.front[0].id
  from_port                    = 8000
  to_port                      = 8000
  ip_protocol                  = "tcp"
}

# ---- the machine

resource "aws_iam_role" "instance" {
  count              = var.role_name == null ? 1 : 0
  name_prefix        = "${var.name}-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}
data "aws_partition" "current" {}

data "aws_iam_policy_document" "parameters" {
  count = length(var.secret_parameters) > 0 ? 1 : 0

  statement {
    actions = ["ssm:GetParameter"]
    resources = [for name in values(var.secret_parameters) :
      "arn:${data.aws_partition.current.partition}:ssm:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:parameter/${trimprefix(name, "/")}"
    ]
  }
}

locals {
  role_name = var.role_name == null ? aws_iam_role.instance[0].name : var.role_name
}

resource "aws_iam_role_policy" "parameters" {
  count  = length(var.secret_parameters) > 0 ? 1 : 0
  name   = "parameters"
  role   = local.role_name
  policy = data.aws_iam_policy_document.parameters[0].json
}

resource "aws_iam_instance_profile" "this" {
  name_prefix = "${var.name}-"
  role        = local.role_name
  tags        = local.tags
}

resource "aws_instance" "this" {
  ami                         = var.ami_id == null ? data.aws_ssm_parameter.ami[0].value : var.ami_id
  instance_type               = var.instance_type
  subnet_id                   = var.subnet_ids[0]
  vpc_security_group_ids      = [aws_security_group.instance.id]
  iam_instance_profile        = aws_iam_instance_profile.this.name
  user_data_replace_on_change = true
  tags                        = local.tags

  # The script is the same that prepares a host by hand; what it needs to know comes before it.
  user_data = join("\n", [
    "#!/usr/bin/env bash",
    "export LIGHTERAGE_IMAGE='${var.image}'",
    "export LIGHTERAGE_ENVIRONMENT='${base64encode(join("\n", [for name, value in local.environment : "${name}=${value}"]))}'",
    "export LIGHTERAGE_PARAMETERS='${base64encode(join("\n", [for name, parameter in var.secret_parameters : "${name} ${parameter}"]))}'",
    "export LIGHTERAGE_DEVICE=/dev/sdf",
    file("${path.module}/../../ec2/user-data.sh"),
  ])

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 2 # the container is one hop further
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
  }
}

# Of its own, so that files outlive the machine.
resource "aws_ebs_volume" "data" {
  availability_zone = aws_instance.this.availability_zone
  size              = var.volume_gib
  type              = "gp3"
  encrypted         = true
  tags              = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_volume_attachment" "data" {
  device_name = "/dev/sdf"
  volume_id   = aws_ebs_volume.data.id
  instance_id = aws_instance.this.id
}
