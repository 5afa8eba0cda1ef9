mock_provider "aws" {
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
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/starting"
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
  mock_resource "aws_ecs_task_definition" {
    defaults = {
      arn = "arn:aws:ecs:eu-central-1:123456789012:task-definition/x:1"
    }
  }
}

variables {
  region             = "eu-central-1"
  vpc_id             = "vpc-1"
  public_subnet_ids  = ["subnet-1", "subnet-2"]
  private_subnet_ids = ["subnet-3", "subnet-4"]
  image              = "registry.example.org/lighterage:1"
  certificate_arn    = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
  task_role_arn      = "arn:aws:iam::123456789012:role/lighterage"
  bucket             = "files"
  mongo_secret_arn   = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mongo"
  admin_secret_arn   = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:admin"
}

run "containers_may_write_to_volumes_only" {
  assert {
    condition = alltrue([for task in [aws_ecs_task_definition.server, aws_ecs_task_definition.worker] :
      one(jsondecode(task.container_definitions)).readonlyRootFilesystem && one(jsondecode(task.container_definitions)).user == "10001:10001"
    ])
    error_message = "A container could write to itself, or is somebody."
  }

  assert {
    condition     = !strcontains(jsonencode(one(jsondecode(aws_ecs_task_definition.server.container_definitions)).environment), "MONGO")
    error_message = "A secret stands in the environment of the definition."
  }
}

run "it_scales_and_rolls" {
  assert {
    condition     = aws_appautoscaling_target.server.max_capacity == 10 && aws_ecs_service.server.deployment_minimum_healthy_percent == 100 && aws_lb.this.idle_timeout >= 3600
    error_message = "It would not scale, or cut off long uploads."
  }
}
