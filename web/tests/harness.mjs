/**
 * Runs scenarios in Chromium against a real server, and tells whoever started it what came of each.
 *
 * It writes one JSON object a line: `{scenario, facts}` or `{scenario, error}` for what was tried, `{do, …}` for what it
 * wants done to the server. The answer to the latter is read from standard input, a line each.
 */

import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { chromium } from 'playwright-core'

export const [base, email, password, pictures] = process.argv.slice(2)
if (pictures === undefined) throw new Error('usage: client.mjs BASE EMAIL PASSWORD PICTURES')

const TIMEOUT_MS = 30_000
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

function tell(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}

/** Have something done to the server, as `restart`; gives what came of it. */
export async function control(what, more = {}) {
  tell({ do: what, ...more })
  const { value } = await lines.next()
  const answer = JSON.parse(value)
  if (answer.error !== undefined) throw new Error(answer.error)
  return answer
}

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-dev-shm-usage'],
})

/** What every page of every scenario did, that none may. */
export const seen = { strangers: [], violations: [], errors: [] }

/** Open a browser of its own, as another person or device has. */
export async function person({ at = base, viewport = { width: 1200, height: 760 }, ...options } = {}) {
  const context = await browser.newContext({ viewport, reducedMotion: 'reduce', acceptDownloads: true, ...options })
  context.setDefaultTimeout(TIMEOUT_MS)
  await context.exposeFunction('reportViolation', (text) => seen.violations.push(text))
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.violatedDirective}: ${event.blockedURI || event.sample}`)
    })
  })
  const meet = (address) => {
    const url = new URL(address)
    if (!['data:', 'blob:'].includes(url.protocol) && url.host !== new URL(at).host) seen.strangers.push(address)
  }
  context.on('request', (request) => meet(request.url()))
  context.on('page', (page) => {
    page.on('pageerror', (error) => seen.errors.push(String(error)))
    page.on('websocket', (socket) => meet(socket.url()))
  })
  return context
}

export async function logIn(page, { as = email, by = password } = {}) {
  await page.getByLabel('E-mail or user name').fill(as)
  await page.getByLabel('Password').fill(by)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
}

/** Open the page in a browser of its own, logged in. */
export async function visitor(options = {}) {
  const context = await person(options)
  const page = await context.newPage()
  await page.goto(`${options.at ?? base}/`)
  await logIn(page, options)
  await page.locator('.shell').waitFor()
  return page
}

/** Ask the server without the page. */
export async function ask(query, variables = {}, token = undefined) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${base}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  const { data, errors } = await answer.json()
  if (errors !== undefined) throw new Error(JSON.stringify(errors))
  return data
}

const LOG_IN = 'mutation ($input: LogInInput!) { logIn(input: $input) { session { accessToken refreshToken } userErrors { message } } }'

export async function session({ as = email, by = password } = {}) {
  const { logIn } = await ask(LOG_IN, { input: { email: as, password: by } })
  if (logIn.session === null) throw new Error(JSON.stringify(logIn.userErrors))
  return logIn.session
}

export function bytes(size, seed = 1) {
  const content = Buffer.alloc(size)
  let state = seed
  for (let at = 0; at < size; at += 4096) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    content.writeUInt32LE(state, at <= size - 4 ? at : 0)
  }
  return content
}

/** Choose files as somebody does with the button. */
export async function chooseFiles(page, files, button = 'Choose files') {
  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.locator('.upload-choices').getByRole('button', { name: button }).click(),
  ])
  await chooser.setFiles(files)
}

export function uploadRow(page, name) {
  return page.locator(`[data-upload="${name}"]`)
}

export function arrived(page, name) {
  return page.locator(`[data-upload="${name}"][data-state="done"]`).waitFor()
}

/**
 * A line between the browser and the server, that can be slow and can be cut: what a browser emulates of that lets
 * go of all it holds at the very moment it is cut.
 */
export async function line() {
  const { hostname, port } = new URL(base)
  const open = new Set()
  let bytesPerSecond = null
  let isCut = false
  const server = createServer((near) => {
    if (isCut) return near.destroy()
    const far = connect(Number(port), hostname)
    const ends = [near, far]
    for (const end of ends) {
      open.add(end)
      end.setNoDelay(true)
      end.on('error', () => undefined)
      end.on('close', () => {
        open.delete(end)
        for (const other of ends) other.destroy()
      })
    }
    far.pipe(near)
    near.on('data', (piece) => {
      far.write(piece)
      if (bytesPerSecond === null) return
      near.pause()
      setTimeout(() => near.resume(), (piece.length * 1000) / bytesPerSecond)
    })
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    slow: (rate) => (bytesPerSecond = rate),
    cut: () => {
      isCut = true
      for (const end of open) end.destroy()
    },
    mend: () => {
      isCut = false
      bytesPerSecond = null
    },
    close: () => server.close(),
  }
}

/** Give a page a connection of this speed, in bytes a second, and this time there and back, in milliseconds. */
export async function slowDown(page, { down, up, latency }) {
  const wire = await page.context().newCDPSession(page)
  await wire.send('Network.enable')
  const conditions = { offline: false, latency, downloadThroughput: down, uploadThroughput: up }
  await wire.send('Network.emulateNetworkConditions', conditions)
}

/** Give where the first request for bytes that comes from now on begins. */
export async function nextOffset(page) {
  const request = await page.waitForRequest((one) => one.method() === 'PATCH', { timeout: 30_000 })
  return Number(request.headers()['upload-offset'])
}

const only = process.env.LIGHTERAGE_TEST_SCENARIO

/** Try something; what it returns are the facts to be judged. */
export async function scenario(name, run) {
  if (only !== undefined && !only.split(',').includes(name)) return
  const begun = performance.now()
  try {
    const facts = await run()
    tell({ scenario: name, facts: facts ?? {}, seconds: (performance.now() - begun) / 1000 })
  } catch (error) {
    for (const context of browser.contexts()) {
      for (const page of context.pages()) await page.screenshot({ path: `${pictures}/failed-${name}.png` }).catch(() => undefined)
    }
    tell({ scenario: name, error: String(error.stack ?? error), seconds: (performance.now() - begun) / 1000 })
  }
  for (const context of browser.contexts()) await context.close().catch(() => undefined)
}
