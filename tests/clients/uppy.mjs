/**
 * Uploads a file by Uppy in Chromium, from a page of another origin than the server's, and prints its address.
 *
 *   CHROMIUM=/usr/bin/chromium node tests/clients/uppy.mjs ENDPOINT TOKEN FILE
 */

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { chromium } from 'playwright-core'

const [endpoint, token, path] = process.argv.slice(2)
if (path === undefined) throw new Error('usage: uppy.mjs ENDPOINT TOKEN FILE')

const here = new URL('.', import.meta.url)
const served = {
  '/': ['text/html', readFileSync(new URL('uppy.html', here))],
  '/uppy.min.js': ['text/javascript', readFileSync(new URL('node_modules/uppy/dist/uppy.min.js', here))],
}
const server = createServer((request, response) => {
  const [type, content] = served[request.url] ?? []
  response.writeHead(content === undefined ? 404 : 200, type === undefined ? {} : { 'Content-Type': type })
  response.end(content)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
const page = await browser.newPage()
page.on('console', (message) => console.error(message.text()))
await page.goto(`http://127.0.0.1:${server.address().port}/`)
await page.setInputFiles('input', path)
const { urls, errors } = await page.evaluate(([to, by]) => upload(to, by), [endpoint, token])
await browser.close()
server.close()

console.error(errors.join('\n'))
console.log(urls.join('\n'))
process.exitCode = urls.length === 1 ? 0 : 1
