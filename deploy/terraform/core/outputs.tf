output "bucket" {
  description = "AWS_STORAGE_BUCKET_NAME."
  value       = aws_s3_bucket.files.id
}

output "bucket_arn" {
  value = aws_s3_bucket.files.arn
}

output "queue_url" {
  description = "LIGHTERAGE_SQS_QUEUES; sqs.queueUrl of the Helm chart."
  value       = aws_sqs_queue.jobs.url
}

output "failed_queue_url" {
  value = aws_sqs_queue.failed.url
}

output "table" {
  value = aws_dynamodb_table.users.name
}

output "role_arn" {
  description = "serviceAccount.roleArn of the Helm chart, or of an instance profile."
  value       = aws_iam_role.lighterage.arn
}

output "role_name" {
  value = aws_iam_role.lighterage.name
}

output "cdn_domain" {
  description = "Where signed addresses begin; null without `cdn`."
  value       = one(aws_cloudfront_distribution.files[*].domain_name)
}
