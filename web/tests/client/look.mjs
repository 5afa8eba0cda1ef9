/** How it looks and how quick it is: both themes, a phone, contrast and labels, the size of what is loaded. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

import { arrived, base, bytes, chooseFiles, logIn, person, pictures, slowDown, visitor } from '../harness.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SHIPS = `ship,port,tons\n${['Anna,Leer,120', 'Bertha,Bremen,340', 'Cleo,Emden,90', 'Dora,Hamburg,410', 'Elsa,Kiel,260'].join('\n')}\n`

async function faults(page, where) {
  // By the protocol of the browser's tools: the page's own policy would not let it in.
  const result = await page.evaluate(`${AXE};axe.run(document, { resultTypes: ['violations'] })`)
  return result.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${where}: ${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`)
}

export async function run(scenario) {
  await scenario('looks', async () => {
    const found = []
    const page = await (await person()).newPage()
    await page.goto(`${base}/`)
    await page.getByRole('button', { name: /Sign up/ }).waitFor()
    await page.screenshot({ path: `${pictures}/log-in.png` })
    found.push(...(await faults(page, 'log in')))
    await logIn(page)
    await chooseFiles(page, [
      { name: 'ships.csv', mimeType: 'text/csv', buffer: Buffer.from(SHIPS) },
      { name: 'harbour plan.txt', mimeType: 'text/plain', buffer: bytes(48_000, 61) },
    ])
    await arrived(page, 'ships.csv')
    await arrived(page, 'harbour plan.txt')
    for (const scheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: scheme })
      await page.getByRole('link', { name: 'Files', exact: true }).click()
      await page.locator('.file-row[data-id]').first().waitFor()
      await page.screenshot({ path: `${pictures}/files-${scheme}.png` })
      found.push(...(await faults(page, `files ${scheme}`)))
      await page.getByRole('searchbox').fill('ships.csv')
      await page.locator('.file-row[data-id]').getByRole('link', { name: 'ships.csv' }).first().click()
      await page.locator('.preview td').first().waitFor()
      await page.screenshot({ path: `${pictures}/file-${scheme}.png` })
      found.push(...(await faults(page, `file ${scheme}`)))
      await page.getByRole('button', { name: 'Share' }).click()
      await page.getByRole('button', { name: 'Make a link' }).waitFor()
      await page.screenshot({ path: `${pictures}/share-${scheme}.png` })
      found.push(...(await faults(page, `share ${scheme}`)))
      await page.keyboard.press('Escape')
      await page.locator('a[href^="#/query/"]').click()
      await page.locator('.editor textarea').waitFor()
      await page.getByRole('button', { name: 'Run' }).click()
      await page.locator('.chart').waitFor()
      await page.screenshot({ path: `${pictures}/query-${scheme}.png` })
      found.push(...(await faults(page, `query ${scheme}`)))
      for (const section of ['Links', 'Team', 'API keys', 'Trash']) {
        await page.getByRole('link', { name: section }).click()
        await page.getByRole('heading', { level: 1, name: section }).waitFor()
        found.push(...(await faults(page, `${section} ${scheme}`)))
        if (section === 'Team') await page.screenshot({ path: `${pictures}/team-${scheme}.png` })
      }
    }
    await page.setViewportSize({ width: 390, height: 800 })
    await page.getByRole('link', { name: 'Files', exact: true }).click()
    await page.getByRole('searchbox').fill('')
    await page.locator('.file-row[data-id]').first().waitFor()
    await page.screenshot({ path: `${pictures}/phone-dark.png` })
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    return { found, overflow }
  })

  await scenario('theme', async () => {
    const page = await visitor({ colorScheme: 'dark' })
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const system = await paper()
    await page.getByRole('radio', { name: 'Light' }).check()
    const light = await paper()
    await page.reload()
    await page.locator('.shell').waitFor()
    const kept = await paper()
    await page.getByRole('radio', { name: 'As the system' }).check()
    return { system, light, kept, again: await paper() }
  })

  await scenario('from right to left', async () => {
    const page = await visitor()
    await page.evaluate(() => (document.documentElement.dir = 'rtl'))
    const place = (selector) => page.locator(selector).first().boundingBox()
    const [nav, main] = [await place('nav'), await place('main')]
    await page.screenshot({ path: `${pictures}/rtl.png` })
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    return { isMirrored: nav.x > main.x, overflow }
  })

  await scenario('first load', async () => {
    const context = await person()
    const page = await context.newPage()
    const sizes = []
    page.on('response', async (response) => {
      if (!/\.js$/.test(response.url())) return
      const { responseBodySize } = await response.request().sizes()
      sizes.push(responseBodySize)
    })
    await page.goto(`${base}/`)
    await logIn(page)
    await page.locator('.list, .empty').first().waitFor()
    const scripts = sizes.reduce((sum, size) => sum + size, 0)
    // "Fast 3G" as browsers' tools have it: 1.6 Mbit/s down, 0.75 up, 562.5 ms there and back.
    const fast3g = { down: (1.6e6 / 8) * 0.9, up: (0.75e6 / 8) * 0.9, latency: 562.5 }
    await slowDown(page, fast3g)
    const begun = performance.now()
    await page.reload()
    await page.locator('.file-row[data-id]').first().waitFor()
    const seconds = (performance.now() - begun) / 1000
    const waits = await page.evaluate(() => performance.getEntriesByType('resource').length)
    return { scripts, seconds, waits, roundTrip: fast3g.latency / 1000 }
  })

  await scenario('many rows', async () => {
    const page = await visitor()
    const COUNT = 100_000
    // What the server would answer, without a hundred thousand files on it: the list is the page's own matter.
    await page.route('**/graphql', async (route) => {
      const { query, variables } = route.request().postDataJSON()
      if (!/query Files\b/.test(query)) return route.continue()
      const from = Number(variables.after ?? 0)
      const nodes = Array.from({ length: 100 }, (_, place) => ({
        __typename: 'File',
        ...{ id: `file_${from + place}`, name: `row ${from + place}`, contentType: 'text/plain', size: 1, status: 'READY' },
        ...{ visibility: 'PRIVATE', createdAt: '2026-01-01T00:00:00.000Z', expiresAt: null, deletedAt: null, version: 1 },
        ...{ resource: null, metadata: [], uploadedBy: null },
      }))
      const pageInfo = { hasNextPage: from + 100 < COUNT, endCursor: String(from + 100) }
      await route.fulfill({ json: { data: { files: { nodes, pageInfo } } } })
    })
    await page.reload()
    await page.locator('.file-row[data-id]').first().waitFor()
    const longest = await page.evaluate(async () => {
      const list = document.querySelector('.list .virtual')
      let worst = 0
      for (let step = 0; step < 60; step += 1) {
        const begun = performance.now()
        list.scrollTop = list.scrollHeight
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))
        worst = Math.max(worst, performance.now() - begun)
      }
      return worst
    })
    const rows = await page.locator('.file-row[data-id]').count()
    const loaded = await page.evaluate(() => document.querySelector('.list .virtual').scrollHeight / 56)
    return { longest, rows, loaded }
  })
}
