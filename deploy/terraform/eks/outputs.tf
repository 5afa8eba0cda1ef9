output "cluster_name" {
  description = "For `aws eks update-kubeconfig --name …`."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  value = aws_eks_cluster.this.endpoint
}

output "oidc" {
  description = "Give it to the module `core`, whose role_arn then goes into serviceAccount.roleArn of the chart."
  value = {
    provider_arn    = aws_iam_openid_connect_provider.pods.arn
    issuer          = replace(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://", "")
    namespace       = var.namespace
    service_account = var.service_account
  }
}
