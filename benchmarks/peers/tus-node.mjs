// @tus/server as its own documentation starts it, over a directory: node tus-node.mjs PORT DIRECTORY
// or over a bucket, keys from the environment: node tus-node.mjs PORT s3 ENDPOINT BUCKET
import { Server } from '@tus/server'

const [port, place, endpoint, bucket] = process.argv.slice(2)

async function datastore() {
  if (place !== 's3') {
    const { FileStore } = await import('@tus/file-store')
    return new FileStore({ directory: place })
  }
  const { S3Store } = await import('@tus/s3-store')
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_REGION: region } = process.env
  const credentials = { accessKeyId, secretAccessKey }
  return new S3Store({ s3ClientConfig: { bucket, endpoint, region, credentials, forcePathStyle: true } })
}

const server = new Server({ path: '/files', datastore: await datastore() })
server.listen({ host: '127.0.0.1', port: Number(port) })
