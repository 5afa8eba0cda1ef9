# Planned, not applied: the volume of the files may not be destroyed, not even by a test.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }
  mock_data "aws_vpc" {
    defaults = {
      cidr_block = "10.20.0.0/16"
    }
  }
  mock_data "aws_ssm_parameter" {
    defaults = {
      value = "ami-0123456789abcdef0"
    }
  }
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }
  mock_data "aws_region" {
    defaults = {
      name = "eu-central-1"
    }
  }
  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
  mock_resource "aws_apigatewayv2_api" {
    defaults = {
      api_endpoint = "https://abc.execute-api.eu-central-1.amazonaws.com"
    }
  }
  mock_resource "aws_lb" {
    defaults = {
      arn      = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/x/1"
      dns_name = "x.elb.example.org"
    }
  }
  mock_resource "aws_lb_listener" {
    defaults = {
      arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:listener/app/x/1/2"
    }
  }
  mock_resource "aws_lb_target_group" {
    defaults = {
      arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/x/1"
    }
  }
}

variables {
  vpc_id          = "vpc-1"
  subnet_ids      = ["subnet-1", "subnet-2"]
  image           = "registry.example.org/lighterage:1"
  certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
}

run "one_small_machine" {
  command = plan

  assert {
    condition     = aws_instance.this.instance_type == "t3a.micro" && aws_instance.this.metadata_options[0].http_tokens == "required"
    error_message = "Another machine than recommended, or one whose metadata anybody may read."
  }

  assert {
    condition     = aws_ebs_volume.data.encrypted && aws_instance.this.root_block_device[0].encrypted
    error_message = "Disks must be encrypted."
  }

  assert {
    condition     = strcontains(aws_instance.this.user_data, "write_service") && strcontains(aws_instance.this.user_data, var.image)
    error_message = "The machine would not know what to run."
  }
}

run "balancer_takes_bodies_of_any_size" {
  command = plan

  assert {
    condition     = aws_lb.this[0].idle_timeout >= 3600 && aws_lb_target_group.this[0].health_check[0].path == "/readyz" && output.chunk_bytes_max == null
    error_message = "Long uploads would be cut off."
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.direct) == 0 && length(aws_vpc_security_group_ingress_rule.front) == 1
    error_message = "The machine must be reached through the balancer alone."
  }
}

run "gateway_gives_https_and_tells_its_limits" {
  command = plan

  variables {
    front = "apigw"
  }

  assert {
    condition     = startswith(output.url, "https://") && output.chunk_bytes_max == 10000000 && aws_apigatewayv2_integration.this[0].timeout_milliseconds == 30000
    error_message = "Clients must know how large a chunk may be."
  }

  assert {
    condition     = strcontains(base64decode(regex("LIGHTERAGE_ENVIRONMENT='([^']*)'", aws_instance.this.user_data)[0]), "LIGHTERAGE_PROXY_FIELDS=forwarded\nLIGHTERAGE_QUERY") && strcontains(base64decode(regex("LIGHTERAGE_ENVIRONMENT='([^']*)'", aws_instance.this.user_data)[0]), "LIGHTERAGE_TRUSTED_PROXIES=10.20.0.0/16")
    error_message = "Links would begin with http:// and name the machine."
  }
}

run "without_a_front" {
  command = plan

  variables {
    front         = "none"
    allowed_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = length(aws_lb.this) == 0 && length(aws_apigatewayv2_api.this) == 0 && keys(aws_vpc_security_group_ingress_rule.direct) == ["203.0.113.0/24"]
    error_message = "Somebody else could reach the machine."
  }
}

run "balancer_needs_a_certificate" {
  command = plan

  variables {
    certificate_arn = null
  }

  expect_failures = [aws_lb_listener.https]
}
