mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }
  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/eks"
    }
  }
  mock_resource "aws_kms_key" {
    defaults = {
      arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
    }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      identity = [{ oidc = [{ issuer = "https://oidc.eks.example.org/id/1" }] }]
    }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = {
      arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.example.org/id/1"
    }
  }
  mock_resource "aws_launch_template" {
    defaults = {
      id = "lt-0123456789abcdef0"
    }
  }
}

variables {
  subnet_ids = ["subnet-1", "subnet-2"]
}

run "roles_and_policies_of_cluster_and_nodes" {
  assert {
    condition     = aws_iam_role_policy_attachment.cluster.policy_arn == "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy"
    error_message = "The cluster cannot work without its policy."
  }

  assert {
    condition     = toset([for a in aws_iam_role_policy_attachment.node : split("/", a.policy_arn)[1]]) == toset(["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryReadOnly"])
    error_message = "Nodes need just these policies."
  }
}

run "pods_take_roles_of_their_own" {
  assert {
    condition     = output.oidc.issuer == "oidc.eks.example.org/id/1" && contains(aws_iam_openid_connect_provider.pods.client_id_list, "sts.amazonaws.com")
    error_message = "IRSA would not work."
  }

  assert {
    condition     = aws_launch_template.node.metadata_options[0].http_put_response_hop_limit == 1 && aws_launch_template.node.metadata_options[0].http_tokens == "required"
    error_message = "A pod could take the node's role."
  }
}

run "api_is_closed_unless_opened" {
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access == false && one(aws_eks_cluster.this.encryption_config[0].resources) == "secrets"
    error_message = "The cluster's API must not be public, nor its secrets in the clear."
  }
}

run "two_zones" {
  command = plan

  variables {
    subnet_ids = ["subnet-1"]
  }

  expect_failures = [var.subnet_ids]
}
