/**
 * Uses GraphiQL as a visitor would, and prints what came of it as one JSON object.
 *
 *   node web/tests/graphiql.mjs http://127.0.0.1:8000 EMAIL PASSWORD [FOLDER FOR PICTURES]
 */

import { chromium } from 'playwright-core'

const [base, email, password, pictures] = process.argv.slice(2)
if (password === undefined) throw new Error('usage: graphiql.mjs BASE EMAIL PASSWORD [PICTURES]')
const TIMEOUT_MS = 30_000
const QUERY = '{ viewer { email } }'

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})
const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
context.setDefaultTimeout(TIMEOUT_MS)
await context.grantPermissions(['clipboard-read', 'clipboard-write'])
const page = await context.newPage()

const seen = { requests: [], sockets: [], violations: [], errors: [] }
page.on('request', (request) => seen.requests.push(request.url()))
page.on('websocket', (socket) => seen.sockets.push(socket.url()))
page.on('pageerror', (error) => seen.errors.push(String(error)))
page.on('console', (message) => {
  if (message.type() === 'error') seen.errors.push(message.text())
})
await page.exposeFunction('reportViolation', (text) => seen.violations.push(text))
await page.addInitScript(() => {
  document.addEventListener('securitypolicyviolation', (event) => {
    window.reportViolation(`${event.violatedDirective}: ${event.blockedURI || event.sample}`)
  })
})

/** Put a text into the query editor and run it. Pasted, since typed brackets would close themselves. */
async function run(query) {
  await page.locator('.graphiql-query-editor .monaco-editor').first().click()
  await page.keyboard.press('Control+A')
  await page.evaluate((text) => navigator.clipboard.writeText(text), query)
  await page.keyboard.press('Control+V')
  // GraphiQL takes the text over some moments after it is typed; run before that, the old one would go out.
  const word = query.match(/\w+/)[0]
  await page.locator('.graphiql-query-editor .view-lines').filter({ hasText: word }).waitFor()
  await page.waitForFunction((wanted) => Object.values(localStorage).some((text) => text.includes(wanted)), word)
  await page.getByRole('button', { name: /^Execute query/ }).click()
}

/** Wait until the result pane says this, and give all of it. */
async function result(wanted) {
  const pane = page.locator('.result-window .view-lines')
  await pane.filter({ hasText: wanted }).waitFor()
  return (await pane.innerText()).replaceAll('\u00a0', ' ')
}

async function picture(name) {
  if (pictures !== undefined) await page.screenshot({ path: `${pictures}/${name}.png` })
}

try {
  await page.emulateMedia({ colorScheme: 'light' })
  await page.goto(`${base}/graphiql`)
  await page.locator('.graphiql-query-editor .view-lines').waitFor()
  await picture('graphiql-visitor')

  await page.getByLabel('E-mail or user name').fill(email)
  await page.getByLabel('Password').fill(`${password}, but wrong`)
  await page.getByRole('button', { name: 'Log in' }).click()
  const refusal = page.locator('header').getByRole('alert')
  await refusal.filter({ hasText: /\S/ }).waitFor()
  seen.refusal = await refusal.innerText()

  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('button', { name: 'Log out' }).waitFor()
  await page.locator('.graphiql-query-editor .view-lines').waitFor()

  await run(QUERY)
  seen.result = await result('viewer')
  await picture('graphiql-light')

  const socket = page.waitForEvent('websocket')
  await run('subscription { fileEvents { action } }')
  await socket

  await page.emulateMedia({ colorScheme: 'dark' })
  await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
  await page.locator('.graphiql-doc-explorer').waitFor()
  await picture('graphiql-dark')
} finally {
  await browser.close()
}
console.log(JSON.stringify(seen))
