/** Uploads: what people do with them, and what may happen to them. */

import {
  arrived,
  ask,
  bytes,
  chooseFiles,
  control,
  line,
  logIn,
  nextOffset,
  session,
  uploadRow,
  visitor,
} from '../harness.mjs'

const MIB = 2 ** 20
const SIZE = 14 * MIB // the kernel alone holds some MiB of what a browser has sent
const RATE = 4 * MIB // a second

/** Wait until so many bytes of an upload went out, and give how many its row says. */
async function partOf(page, name, percent) {
  await page.waitForFunction(
    ([of, wanted]) => {
      const bar = document.querySelector(`[data-upload="${of}"] [role=progressbar]`)
      return Number(bar?.getAttribute('aria-valuenow')) >= wanted
    },
    [name, percent],
  )
  return Number(await uploadRow(page, name).getByRole('progressbar').getAttribute('aria-valuenow'))
}

async function digestOf(content) {
  return Buffer.from(await crypto.subtle.digest('SHA-256', content)).toString('hex')
}

/** Give size and digest of the newest file of a name, once the digest is known. */
async function stored(name) {
  const { accessToken } = await session()
  for (let tries = 0; tries < 100; tries += 1) {
    const query = 'query ($filter: FileFilter) { files(filter: $filter, first: 5) { nodes { name size sha256 } } }'
    const { files } = await ask(query, { filter: { name: { eq: name } } }, accessToken)
    if (files.nodes.length > 0 && files.nodes.every((file) => file.sha256 !== null)) return files.nodes
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`no digest of ${name}`)
}

async function unfinished() {
  const { accessToken } = await session()
  return (await ask('{ uploads { name offset size } }', {}, accessToken)).uploads
}

export async function run(scenario) {
  await scenario('choose', async () => {
    const page = await visitor()
    const content = bytes(3 * MIB, 5)
    await chooseFiles(page, [
      { name: 'one.txt', mimeType: 'text/plain', buffer: Buffer.from('one') },
      { name: 'three.bin', mimeType: 'application/octet-stream', buffer: content },
      { name: 'nothing.txt', mimeType: 'text/plain', buffer: Buffer.alloc(0) },
    ])
    for (const name of ['one.txt', 'three.bin', 'nothing.txt']) await arrived(page, name)
    await page.locator('.file-row[data-id]').filter({ hasText: 'three.bin' }).waitFor()
    const [file] = await stored('three.bin')
    return { file, digest: await digestOf(content) }
  })

  await scenario('drop a folder', async () => {
    const page = await visitor()
    const dropped = await page.evaluate(async () => {
      // A folder as a browser's drop has it: an entry that is read in pieces.
      const fileOf = (name, path) => ({ isDirectory: false, name, fullPath: path, file: (give) => give(new File(['x'], name)) })
      const folder = (name, path, children) => ({
        isDirectory: true,
        name,
        fullPath: path,
        createReader: () => {
          const pieces = [children.slice(0, 1), children.slice(1), []]
          return { readEntries: (give) => give(pieces.shift()) }
        },
      })
      const inner = folder('inner', '/cargo/inner', [fileOf('deep.txt', '/cargo/inner/deep.txt')])
      const cargo = folder('cargo', '/cargo', [fileOf('top.txt', '/cargo/top.txt'), inner])
      const event = new Event('drop', { bubbles: true, cancelable: true })
      event.dataTransfer = { types: ['Files'], files: [], items: [{ webkitGetAsEntry: () => cargo }] }
      document.body.dispatchEvent(event)
      return event.defaultPrevented
    })
    await arrived(page, 'deep.txt')
    await arrived(page, 'top.txt')
    const row = page.locator('.file-row[data-id]').filter({ hasText: 'deep.txt' })
    return { dropped, folder: await row.locator('.folder').innerText() }
  })

  /** Begin an upload over a slow line, in a browser of its own, and wait until a part of it went out. */
  async function underWay(name, content, more = []) {
    const wire = await line()
    const page = await visitor({ at: wire.url })
    wire.slow(RATE)
    await chooseFiles(page, [{ name, mimeType: '', buffer: content }, ...more])
    await partOf(page, name, 40)
    return { wire, page }
  }

  await scenario('pause and resume', async () => {
    const content = bytes(SIZE, 7)
    const { wire, page } = await underWay('paused.bin', content)
    const row = uploadRow(page, 'paused.bin').locator('small').first()
    await row.filter({ hasText: 'left' }).waitFor()
    const moving = await row.innerText()
    await page.getByRole('button', { name: 'Pause paused.bin' }).click()
    await uploadRow(page, 'paused.bin').and(page.locator('[data-state="paused"]')).waitFor()
    const before = await partOf(page, 'paused.bin', 40)
    wire.mend()
    const offset = nextOffset(page)
    await page.getByRole('button', { name: 'Resume paused.bin' }).click()
    await arrived(page, 'paused.bin')
    const [file] = await stored('paused.bin')
    return { moving, before, offset: await offset, file, digest: await digestOf(content) }
  })

  await scenario('cancel', async () => {
    const { wire, page } = await underWay('cancelled.bin', bytes(SIZE, 9))
    await page.getByRole('button', { name: 'Cancel cancelled.bin' }).click()
    await uploadRow(page, 'cancelled.bin').waitFor({ state: 'detached' })
    wire.mend()
    for (let tries = 0; tries < 50; tries += 1) {
      if (!(await unfinished()).some((upload) => upload.name === 'cancelled.bin')) return { gone: true }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return { gone: false }
  })

  await scenario('reload', async () => {
    const content = bytes(SIZE, 11)
    const { wire, page } = await underWay('reloaded.bin', content)
    const offset = nextOffset(page)
    wire.cut()
    wire.mend()
    await page.reload()
    await arrived(page, 'reloaded.bin')
    const [file] = await stored('reloaded.bin')
    return { offset: await offset, file, digest: await digestOf(content) }
  })

  await scenario('closed tab', async () => {
    const content = bytes(SIZE, 13)
    const { wire, page } = await underWay('moved.bin', content)
    wire.cut()
    await page.context().close()
    const second = await visitor()
    await second.locator('[data-unfinished="moved.bin"]').waitFor()
    const stands = (await unfinished()).find((upload) => upload.name === 'moved.bin').offset
    await chooseFiles(second, [{ name: 'moved.bin', mimeType: '', buffer: bytes(SIZE, 14) }])
    const refusal = await uploadRow(second, 'moved.bin').locator('.fault').innerText()
    await second.getByRole('button', { name: 'Put moved.bin aside' }).click()
    await second.locator('[data-unfinished="moved.bin"]').waitFor()
    const offset = nextOffset(second)
    await chooseFiles(second, [{ name: 'moved.bin', mimeType: '', buffer: content }])
    await arrived(second, 'moved.bin')
    const files = await stored('moved.bin')
    return { stands, offset: await offset, refusal, files, digest: await digestOf(content) }
  })

  await scenario('offline', async () => {
    const content = bytes(SIZE, 15)
    const { wire, page } = await underWay('tunnel.bin', content)
    wire.cut()
    await page.context().setOffline(true)
    await page.locator('[data-connection="offline"]').waitFor()
    const said = await page.locator('.banner').innerText()
    await uploadRow(page, 'tunnel.bin').and(page.locator('[data-state="away"]')).waitFor()
    const offset = nextOffset(page)
    wire.mend()
    await page.context().setOffline(false)
    await arrived(page, 'tunnel.bin')
    const [file] = await stored('tunnel.bin')
    return { said, offset: await offset, file, digest: await digestOf(content) }
  })

  await scenario('restart', async () => {
    const content = bytes(SIZE, 17)
    const { wire, page } = await underWay('restarted.bin', content)
    await control('stop')
    await page.locator('[data-connection="away"]').waitFor()
    const said = await page.locator('.banner').innerText()
    const offset = nextOffset(page)
    wire.mend()
    await control('start')
    await arrived(page, 'restarted.bin')
    await page.locator('[data-connection="ok"]').waitFor({ state: 'attached' })
    const [file] = await stored('restarted.bin')
    return { said, offset: await offset, file, digest: await digestOf(content) }
  })

  await scenario('expired session', async () => {
    const content = bytes(SIZE, 19)
    const second = { name: 'second.bin', mimeType: '', buffer: bytes(2 * MIB, 20) }
    const { wire, page } = await underWay('patient.bin', content, [second])
    await page.getByRole('button', { name: 'Pause patient.bin' }).click()
    const kept = await page.evaluate(() => JSON.parse(localStorage.getItem('lighterage.session')))
    const end = 'mutation ($input: LogOutInput!) { logOut(input: $input) { userErrors { message } } }'
    await ask(end, { input: { refreshToken: kept.refreshToken } }, kept.accessToken)
    wire.mend()
    await page.getByRole('button', { name: 'Resume patient.bin' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.waitFor()
    const title = await dialog.getByRole('heading').innerText()
    const offset = nextOffset(page)
    await logIn(page)
    await dialog.waitFor({ state: 'detached' })
    await arrived(page, 'patient.bin')
    await arrived(page, 'second.bin')
    const files = await stored('patient.bin')
    return { title, offset: await offset, files, digest: await digestOf(content) }
  })

  await scenario('refused', async () => {
    await control('quota', { bytes: 1000 })
    const page = await visitor()
    await chooseFiles(page, [{ name: 'toolarge.bin', mimeType: '', buffer: bytes(3 * MIB, 21) }])
    await uploadRow(page, 'toolarge.bin').and(page.locator('[data-state="failed"]')).waitFor()
    const said = await uploadRow(page, 'toolarge.bin').locator('.fault').innerText()
    await control('quota', { bytes: 10 * 2 ** 30 })
    await page.getByRole('button', { name: 'Try toolarge.bin again' }).click()
    await arrived(page, 'toolarge.bin')
    return { said }
  })

  await scenario('five thousand', async () => {
    const page = await visitor()
    await page.evaluate(() => {
      window.longest = 0
      let last = performance.now()
      const look = () => {
        const now = performance.now()
        window.longest = Math.max(window.longest, now - last)
        last = now
        requestAnimationFrame(look)
      }
      requestAnimationFrame(look)
      const transfer = new DataTransfer()
      for (let number = 0; number < 5000; number += 1) transfer.items.add(new File([`file ${number}`], `f${number}.txt`))
      document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }))
    })
    const done = (count) =>
      page.waitForFunction(
        (wanted) => Number(document.querySelector('.upload-numbers strong')?.textContent.split(' ')[0].replace(',', '')) >= wanted,
        count,
        { timeout: 240_000, polling: 200 },
      )
    await page.getByText(/of 5,000 files/).waitFor()
    await done(100)
    const rows = await page.locator('[data-upload]').count()
    const longest = await page.evaluate(() => window.longest)
    await page.reload()
    const again = await page.locator('.upload-numbers strong').innerText()
    await done(process.env.LIGHTERAGE_TEST_LONG === '1' ? Number(again.split(' ')[2].replace(',', '')) : 30)
    await page.getByRole('button', { name: 'Cancel all' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Cancel all' }).click()
    await page.locator('.upload-items').waitFor({ state: 'detached' })
    return { rows, longest, again: Number(again.split(' ')[2].replace(',', '')) }
  })
}
