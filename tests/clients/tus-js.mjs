/**
 * Uploads a file by tus-js-client, through whatever happens meanwhile, and prints its address.
 *
 *   node tests/clients/tus-js.mjs ENDPOINT TOKEN FILE
 */

import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { Upload } from 'tus-js-client'

const [endpoint, token, path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: tus-js.mjs ENDPOINT TOKEN FILE')

const upload = new Upload(createReadStream(path), {
  endpoint,
  chunkSize: 24 * 2 ** 20,
  headers: { Authorization: `Bearer ${token}` },
  metadata: { filename: basename(path) },
  retryDelays: Array(100).fill(200),
  onSuccess: () => console.log(upload.url),
  onError: (error) => {
    console.error(String(error))
    process.exit(1)
  },
})
upload.start()
