output "url" {
  description = "Where clients find it; for a balancer point a name that is in the certificate there."
  value = {
    alb   = one(aws_lb.this[*].dns_name) == null ? null : "https://${one(aws_lb.this[*].dns_name)}"
    apigw = one(aws_apigatewayv2_api.this[*].api_endpoint)
    none  = "http://${aws_instance.this.public_dns}:8000"
  }[var.front]
}

output "chunk_bytes_max" {
  description = "Largest body that gets through; null: of any size. Tell your clients: tus calls it chunkSize."
  value       = var.front == "apigw" ? 10 * 1000 * 1000 : null
}

output "instance_id" {
  value = aws_instance.this.id
}
