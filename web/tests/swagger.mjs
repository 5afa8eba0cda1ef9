/**
 * Uses Swagger UI as a visitor would, and prints what came of it as one JSON object.
 *
 *   node web/tests/swagger.mjs http://127.0.0.1:8000
 */

import { chromium } from 'playwright-core'

const [base] = process.argv.slice(2)
if (base === undefined) throw new Error('usage: swagger.mjs BASE')

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
page.setDefaultTimeout(30_000)

const seen = { requests: [], violations: [], errors: [] }
page.on('request', (request) => seen.requests.push(request.url()))
page.on('pageerror', (error) => seen.errors.push(String(error)))
await page.exposeFunction('reportViolation', (text) => seen.violations.push(text))
await page.addInitScript(() => {
  document.addEventListener('securitypolicyviolation', (event) => {
    window.reportViolation(`${event.violatedDirective}: ${event.blockedURI || event.sample}`)
  })
})

await page.goto(`${base}/docs`)
const operation = page.locator('.opblock', { has: page.locator('[data-path="/users"]') })
await operation.locator('.opblock-summary').click()
await operation.getByRole('button', { name: 'Execute' }).click()
const live = operation.locator('.live-responses-table')
await live.locator('.response-col_status').filter({ hasText: '200' }).first().waitFor()
seen.answer = await live.locator('.response-col_description .highlight-code').first().innerText()
seen.address = page.url()
seen.operations = await page.locator('.opblock').count()

await browser.close()
console.log(JSON.stringify(seen))
