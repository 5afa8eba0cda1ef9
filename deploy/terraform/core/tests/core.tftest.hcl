# Plans against a provider that is not there: what would be made, and what it would hold.

mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
    }
  }
  mock_resource "aws_s3_bucket" {
    defaults = {
      id  = "files"
      arn = "arn:aws:s3:::files"
    }
  }
  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:eu-central-1:123456789012:jobs"
    }
  }
  mock_resource "aws_dynamodb_table" {
    defaults = {
      arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/users"
    }
  }
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws:iam::123456789012:role/lighterage"
    }
  }
  mock_resource "aws_cloudfront_distribution" {
    defaults = {
      arn         = "arn:aws:cloudfront::123456789012:distribution/E1"
      domain_name = "d1.cloudfront.net"
    }
  }
}

run "bucket_is_private_encrypted_and_tidy" {
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.files.block_public_acls,
      aws_s3_bucket_public_access_block.files.block_public_policy,
      aws_s3_bucket_public_access_block.files.ignore_public_acls,
      aws_s3_bucket_public_access_block.files.restrict_public_buckets,
    ])
    error_message = "The bucket must not be public in any way."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.files.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Files must be encrypted at rest."
  }

  assert {
    condition     = one([for rule in aws_s3_bucket_lifecycle_configuration.files.rule : rule if rule.id == "abort-multipart-uploads"]).abort_incomplete_multipart_upload[0].days_after_initiation > 7
    error_message = "Parts of living uploads would be taken away."
  }
}

run "objects_are_named_in_the_policy" {
  assert {
    condition     = one([for s in data.aws_iam_policy_document.use.statement : s if s.sid == "Objects"]).resources == toset(["arn:aws:s3:::files/*"])
    error_message = "The role may use more than its bucket."
  }

  assert {
    condition     = alltrue([for s in data.aws_iam_policy_document.use.statement : !contains(s.resources, "*") && alltrue([for a in s.actions : !endswith(a, "*")])])
    error_message = "A right has a star in it."
  }
}

run "table_and_queue_keep_what_they_have" {
  assert {
    condition     = aws_dynamodb_table.users.server_side_encryption[0].enabled && aws_dynamodb_table.users.point_in_time_recovery[0].enabled && aws_dynamodb_table.users.deletion_protection_enabled
    error_message = "The table must be encrypted, restorable and not easily deleted."
  }

  assert {
    condition     = jsondecode(aws_sqs_queue.jobs.redrive_policy).maxReceiveCount == 5
    error_message = "What fails again and again must leave the queue."
  }
}

run "one_key_for_everything" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.files.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && aws_sqs_queue.jobs.kms_master_key_id == var.kms_key_arn
    error_message = "The key is not used."
  }
}

run "only_the_service_account_takes_the_role" {
  variables {
    trusted_services = []
    oidc = {
      provider_arn    = "arn:aws:iam::123456789012:oidc-provider/oidc.example.org/id/1"
      issuer          = "oidc.example.org/id/1"
      namespace       = "files"
      service_account = "lighterage"
    }
  }

  assert {
    condition     = contains([for c in one(data.aws_iam_policy_document.trust.statement).condition : one(c.values)], "system:serviceaccount:files:lighterage")
    error_message = "Another service account could take the role."
  }
}

run "cdn_gives_its_domain" {
  variables {
    cdn                = true
    cdn_public_key_pem = "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----\n"
  }

  assert {
    condition     = output.cdn_domain == "d1.cloudfront.net" && aws_cloudfront_distribution.files[0].default_cache_behavior[0].viewer_protocol_policy == "https-only"
    error_message = "CloudFront is not before the bucket."
  }
}

run "names_are_checked" {
  command = plan

  variables {
    name = "Not_A_Bucket"
  }

  expect_failures = [var.name]
}
