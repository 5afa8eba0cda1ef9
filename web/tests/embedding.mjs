/**
 * Runs the pages of docs/guides/embedding.md in Chromium, from another origin than the server's.
 *
 *   node web/tests/embedding.mjs ENDPOINT TOKEN PAGE_PORT GUIDE
 *
 * Prints, as JSON, what came of a file that was chosen in each.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { chromium } from 'playwright-core'
import { build } from 'vite'

const [endpoint, token, port, guide] = process.argv.slice(2)
if (guide === undefined) throw new Error('usage: embedding.mjs ENDPOINT TOKEN PAGE_PORT GUIDE')

const text = readFileSync(guide, 'utf8').replaceAll('https://files.example.org/files/', endpoint).replaceAll('TOKEN', token)
const snippets = [...text.matchAll(/^```(jsx?|html) (\S+)\n(.*?)^```$/gms)].map(([, kind, name, code]) => ({ kind, name, code }))
// Where the packages are that the snippets import.
const folder = mkdtempSync(join(fileURLToPath(new URL('..', import.meta.url)), 'dist-'))
const served = new Map()

try {
  for (const { kind, name, code } of snippets) {
    if (kind === 'html') served.set(`/${name}`, ['text/html', code])
    else {
      const entry = join(folder, `${name}.${kind}`)
      writeFileSync(entry, code)
      const [{ output }] = [
        await build({
          root: folder,
          configFile: false,
          logLevel: 'error',
          build: { write: false, rolldownOptions: { input: entry, output: { entryFileNames: 'page.js' } } },
        }),
      ]
      served.set(`/${name}.js`, ['text/javascript', output[0].code])
      const input = kind === 'js' ? '<input type="file">' : '<div id="app"></div>'
      served.set(`/${name}`, ['text/html', `<!doctype html><body>${input}<script type="module" src="/${name}.js"></script>`])
    }
  }
} finally {
  rmSync(folder, { recursive: true })
}

const server = createServer((request, response) => {
  const [type, content] = served.get(request.url) ?? []
  response.writeHead(content === undefined ? 404 : 200, type === undefined ? {} : { 'Content-Type': type })
  response.end(content)
})
await new Promise((resolve) => server.listen(Number(port), '127.0.0.1', resolve))
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
const came = {}
for (const { name } of snippets) {
  const page = await browser.newPage()
  page.setDefaultTimeout(15_000)
  const file = `${name}.txt`
  const said = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error(`nothing came of ${name}`)), 15_000).unref()
    page.on('console', (message) => message.text().includes('arrived') && resolve(message.text()))
    page.on('pageerror', reject)
    page.getByText('arrived').waitFor().then(() => resolve(`${file} has arrived`), () => undefined)
  })
  await page.goto(`http://127.0.0.1:${port}/${name}`)
  await page.locator('input').setInputFiles({ name: file, mimeType: 'text/plain', buffer: Buffer.from(`sent by ${name}`) })
  came[name] = await said
  await page.close()
}
await browser.close()
server.close()
console.log(JSON.stringify(came))
