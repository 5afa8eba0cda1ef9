# CloudFront before the bucket: downloads by signed addresses, near the reader. Uploads do not go this way.

resource "aws_cloudfront_origin_access_control" "files" {
  count                             = var.cdn ? 1 : 0
  name                              = var.name
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_public_key" "files" {
  count       = var.cdn ? 1 : 0
  name_prefix = "${var.name}-"
  encoded_key = var.cdn_public_key_pem
}

resource "aws_cloudfront_key_group" "files" {
  count = var.cdn ? 1 : 0
  name  = var.name
  items = aws_cloudfront_public_key.files[*].id
}

resource "aws_cloudfront_distribution" "files" {
  count           = var.cdn ? 1 : 0
  enabled         = true
  is_ipv6_enabled = true
  http_version    = "http2and3"
  price_class     = "PriceClass_100"
  comment         = "Downloads of ${var.name}"
  tags            = local.tags

  origin {
    origin_id                = "files"
    domain_name              = aws_s3_bucket.files.bucket_regional_domain_name
    origin_access_control_id = aws_cloudfront_origin_access_control.files[0].id
  }

  default_cache_behavior {
    target_origin_id       = "files"
    viewer_protocol_policy = "https-only"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    compress               = false
    # Managed-CachingOptimized: no cookie, no query string; signatures are checked before the cache is asked.
    cache_policy_id    = "658327ea-f89d-4fab-a63d-7e88639e58f6"
    trusted_key_groups = aws_cloudfront_key_group.files[*].id
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
    minimum_protocol_version       = "TLSv1"
  }
}
