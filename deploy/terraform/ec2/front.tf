# What stands in front. Both end TLS; the instance is reached from them alone.

resource "aws_security_group" "front" {
  count       = local.is_direct ? 0 : 1
  name_prefix = "${var.name}-front-"
  description = "In front of Lighterage"
  vpc_id      = var.vpc_id
  tags        = local.tags

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  for_each          = toset(var.front == "alb" ? var.allowed_cidrs : [])
  security_group_id = aws_security_group.front[0].id
  cidr_ipv4         = each.key
  from_port         = 443
  to_port           = 443
  ip_protocol       = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "front" {
  count                        = local.is_direct ? 0 : 1
  security_group_id            = aws_security_group.front[0].id
  referenced_security_group_id = aws_security_group.instance.id
  from_port                    = 8000
  to_port                      = 8000
  ip_protocol                  = "tcp"
}

# ---- a balancer: hands bodies of any size on as they come

resource "aws_lb" "this" {
  count                      = var.front == "alb" ? 1 : 0
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.subnet_ids
  security_groups            = [aws_security_group.front[0].id]
  idle_timeout               = 3600 # the server ends what idles sooner
  drop_invalid_header_fields = true
  tags                       = local.tags
}

resource "aws_lb_target_group" "this" {
  count                = var.front == "alb" ? 1 : 0
  name                 = var.name
  vpc_id               = var.vpc_id
  port                 = 8000
  protocol             = "HTTP"
  deregistration_delay = 30
  tags                 = local.tags

  health_check {
    path     = "/readyz"
    interval = 10
    timeout  = 5
  }
}

resource "aws_lb_target_group_attachment" "this" {
  count            = var.front == "alb" ? 1 : 0
  target_group_arn = aws_lb_target_group.this[0].arn
  target_id        = aws_instance.this.id
}

resource "aws_lb_listener" "https" {
  count             = var.front == "alb" ? 1 : 0
  load_balancer_arn = aws_lb.this[0].arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn
  tags              = local.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[0].arn
  }

  lifecycle {
    precondition {
      condition     = var.certificate_arn != null
      error_message = "front = alb needs certificate_arn."
    }
  }
}

# The operator's numbers are not for strangers.
resource "aws_lb_listener_rule" "no_metrics" {
  count        = var.front == "alb" ? 1 : 0
  listener_arn = aws_lb_listener.https[0].arn
  priority     = 1

  condition {
    path_pattern {
      values = ["/metrics"]
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
    }
  }
}

# ---- an API Gateway: 10 MB a body and 30 seconds an answer, which cannot be raised. It tells of the client in `Forwarded`;
# X-Forwarded-For and its like are fields that it keeps to itself.

resource "aws_apigatewayv2_api" "this" {
  count         = var.front == "apigw" ? 1 : 0
  name          = var.name
  protocol_type = "HTTP"
  description   = "Bodies of up to 10 MB: tus clients must send chunks below that."
  tags          = local.tags
}

resource "aws_apigatewayv2_vpc_link" "this" {
  count              = var.front == "apigw" ? 1 : 0
  name               = var.name
  subnet_ids         = var.subnet_ids
  security_group_ids = [aws_security_group.front[0].id]
  tags               = local.tags
}

resource "aws_lb" "link" {
  count              = var.front == "apigw" ? 1 : 0
  name               = "${var.name}-link"
  internal           = true
  load_balancer_type = "network"
  subnets            = var.subnet_ids
  security_groups    = [aws_security_group.front[0].id]
  tags               = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "link" {
  count                        = var.front == "apigw" ? 1 : 0
  security_group_id            = aws_security_group.front[0].id
  referenced_security_group_id = aws_security_group.front[0].id
  from_port                    = 80
  to_port                      = 80
  ip_protocol                  = "tcp"
}

resource "aws_vpc_security_group_egress_rule" "link" {
  count                        = var.front == "apigw" ? 1 : 0
  security_group_id            = aws_security_group.front[0].id
  referenced_security_group_id = aws_security_group.front[0].id
  from_port                    = 80
  to_port                      = 80
  ip_protocol                  = "tcp"
}

resource "aws_lb_target_group" "link" {
  count    = var.front == "apigw" ? 1 : 0
  name     = "${var.name}-link"
  vpc_id   = var.vpc_id
  port     = 8000
  protocol = "TCP"
  tags     = local.tags

  health_check {
    protocol = "HTTP"
    path     = "/readyz"
  }
}

resource "aws_lb_target_group_attachment" "link" {
  count            = var.front == "apigw" ? 1 : 0
  target_group_arn = aws_lb_target_group.link[0].arn
  target_id        = aws_instance.this.id
}

resource "aws_lb_listener" "link" {
  count             = var.front == "apigw" ? 1 : 0
  load_balancer_arn = aws_lb.link[0].arn
  port              = 80
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.link[0].arn
  }
}

resource "aws_apigatewayv2_integration" "this" {
  count                = var.front == "apigw" ? 1 : 0
  api_id               = aws_apigatewayv2_api.this[0].id
  integration_type     = "HTTP_PROXY"
  integration_method   = "ANY"
  integration_uri      = aws_lb_listener.link[0].arn
  connection_type      = "VPC_LINK"
  connection_id        = aws_apigatewayv2_vpc_link.this[0].id
  timeout_milliseconds = 30000
}

resource "aws_apigatewayv2_route" "this" {
  count     = var.front == "apigw" ? 1 : 0
  api_id    = aws_apigatewayv2_api.this[0].id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.this[0].id}"
}

resource "aws_apigatewayv2_stage" "this" {
  count       = var.front == "apigw" ? 1 : 0
  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true
  tags        = local.tags
}
