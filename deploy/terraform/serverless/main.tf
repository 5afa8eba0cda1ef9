# Nobody's machines: containers on Fargate behind a balancer, which scale by themselves. A Lambda could not take an upload:
# 6 MB a body.

locals {
  tags = merge({ Application = "lighterage", Name = var.name }, var.tags)
  environment = merge(
    {
      ENV                        = "production"
      DEBUG                      = "False"
      AWS_STORAGE_BUCKET_NAME    = var.bucket
      AWS_S3_REGION_NAME         = var.region
      LIGHTERAGE_TRUSTED_PROXIES = data.aws_vpc.this.cidr_block
      LIGHTERAGE_WORKER_JOBS     = "0" # jobs are the workers'
    },
    var.queue_url == "" ? {} : { LIGHTERAGE_SQS_QUEUES = var.queue_url },
    var.settings,
  )
  container = {
    image                  = var.image
    essential              = true
    readonlyRootFilesystem = true
    user                   = "10001:10001"
    stopTimeout            = 40
    environment            = [for name, value in local.environment : { name = name, value = value }]
    secrets = [
      { name = "LIGHTERAGE_MONGO_URL", valueFrom = var.mongo_secret_arn },
      { name = "LIGHTERAGE_ADMIN_PASSWORD", valueFrom = var.admin_secret_arn },
    ]
    # Parts that wait for S3, and what SQL spills.
    mountPoints = [
      { sourceVolume = "data", containerPath = "/data" },
      { sourceVolume = "tmp", containerPath = "/tmp" },
    ]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = var.name
      }
    }
  }
}

data "aws_vpc" "this" {
  id = var.vpc_id
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/lighterage/${var.name}"
  retention_in_days = 30
  tags              = local.tags
}

# ---- what starts containers, and may read their secrets

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.mongo_secret_arn, var.admin_secret_arn]
  }
}

resource "aws_iam_role" "starting" {
  name_prefix        = "${var.name}-starting-"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy_attachment" "starting" {
  role       = aws_iam_role.starting.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.starting.id
  policy = data.aws_iam_policy_document.secrets.json
}

# ---- containers

resource "aws_ecs_cluster" "this" {
  name = var.name
  tags = local.tags

  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_ecs_task_definition" "server" {
  family                   = "${var.name}-server"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 1024
  memory                   = 2048
  execution_role_arn       = aws_iam_role.starting.arn
  task_role_arn            = var.task_role_arn
  tags                     = local.tags

  container_definitions = jsonencode([merge(local.container, {
    name         = "server"
    portMappings = [{ containerPort = 8000 }]
    healthCheck = {
      command     = ["CMD", "python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
      interval    = 10
      timeout     = 5
      retries     = 6
      startPeriod = 60
    }
  })])

  volume {
    name = "data"
  }

  volume {
    name = "tmp"
  }

  ephemeral_storage {
    size_in_gib = 40
  }
}

resource "aws_ecs_task_definition" "worker" {
  family                   = "${var.name}-worker"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  execution_role_arn       = aws_iam_role.starting.arn
  task_role_arn            = var.task_role_arn
  tags                     = local.tags

  container_definitions = jsonencode([merge(local.container, {
    name    = "worker"
    command = ["python", "-m", "lighterage", "worker"]
  })])

  volume {
    name = "data"
  }

  volume {
    name = "tmp"
  }
}

resource "aws_ecs_service" "server" {
  name                               = "server"
  cluster                            = aws_ecs_cluster.this.id
  task_definition                    = aws_ecs_task_definition.server.arn
  launch_type                        = "FARGATE"
  desired_count                      = var.server_count.min
  deployment_minimum_healthy_percent = 100
  health_check_grace_period_seconds  = 60
  depends_on                         = [aws_lb_listener.https]
  tags                               = local.tags

  network_configuration {
    subnets         = var.private_subnet_ids
    security_groups = [aws_security_group.server.id]
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.this.arn
    container_name   = "server"
    container_port   = 8000
  }

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  lifecycle {
    ignore_changes = [desired_count] # the scaling's
  }
}

resource "aws_ecs_service" "worker" {
  name            = "worker"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.worker.arn
  launch_type     = "FARGATE"
  desired_count   = var.worker_count
  tags            = local.tags

  network_configuration {
    subnets         = var.private_subnet_ids
    security_groups = [aws_security_group.server.id]
  }
}

resource "aws_appautoscaling_target" "server" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.this.name}/${aws_ecs_service.server.name}"
  min_capacity       = var.server_count.min
  max_capacity       = var.server_count.max
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.server.service_namespace
  scalable_dimension = aws_appautoscaling_target.server.scalable_dimension
  resource_id        = aws_appautoscaling_target.server.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_in_cooldown  = 600 # each container that goes cuts off uploads, which then go on elsewhere
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

# ---- the balancer

resource "aws_security_group" "front" {
  name_prefix = "${var.name}-front-"
  description = "In front of Lighterage"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "server" {
  name_prefix = "${var.name}-server-"
  description = "Lighterage"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  security_group_id = aws_security_group.front.id
  cidr_ipv4         = "0.0.0.0/0"
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "front" {
  security_group_id            = aws_security_group.front.id
  referenced_security_group_id = aws_security_group.server.id
  from_port                    = 8000
  to_port                      = 8000
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_ingress_rule" "server" {
  security_group_id            = aws_security_group.server.id
  referenced_security_group_id = aws_security_group.front.id
  from_port                    = 8000
  to_port                      = 8000
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "server" {
  security_group_id = aws_security_group.server.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_lb" "this" {
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.public_subnet_ids
  security_groups            = [aws_security_group.front.id]
  idle_timeout               = 3600
  drop_invalid_header_fields = true
  tags                       = local.tags
}

resource "aws_lb_target_group" "this" {
  name                 = var.name
  vpc_id               = var.vpc_id
  port                 = 8000
  protocol             = "HTTP"
  target_type          = "ip"
  deregistration_delay = 30
  tags                 = local.tags

  health_check {
    path     = "/readyz"
    interval = 10
    timeout  = 5
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

output "url" {
  description = "Point a name that is in the certificate here."
  value       = "https://${aws_lb.this.dns_name}"
}
