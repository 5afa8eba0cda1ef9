/** Looking into files, asking them, and handing them to people without an account. */

import { arrived, base, bytes, chooseFiles, person, visitor } from '../harness.mjs'

const SHIPS = `ship,tons\n${Array.from({ length: 3000 }, (_, place) => `s${place},${place % 50}`).join('\n')}\n`
// One red pixel.
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==',
  'base64',
)

async function openFile(page, name) {
  await page.getByRole('searchbox').fill(name)
  await page.locator('.file-row[data-id]').getByRole('link', { name, exact: true }).click()
}

export async function run(scenario) {
  await scenario('look into files', async () => {
    const page = await visitor()
    await chooseFiles(page, [
      { name: 'ships.csv', mimeType: 'text/csv', buffer: Buffer.from(SHIPS) },
      { name: 'pixel.png', mimeType: 'image/png', buffer: PICTURE },
      { name: 'poem.txt', mimeType: 'text/plain', buffer: Buffer.from('Der Mond\nist aufgegangen') },
    ])
    for (const name of ['ships.csv', 'pixel.png', 'poem.txt']) await arrived(page, name)
    await openFile(page, 'pixel.png')
    const image = page.locator('.preview img')
    await image.waitFor()
    await page.waitForFunction(() => document.querySelector('.preview img')?.complete)
    const width = await image.evaluate((shown) => shown.naturalWidth)
    await page.goBack()
    await openFile(page, 'poem.txt')
    const poem = page.locator('.preview pre').filter({ hasText: 'Mond' })
    await poem.waitFor()
    const said = await poem.innerText()
    await page.goBack()
    await openFile(page, 'ships.csv')
    await page.locator('.preview td').first().waitFor()
    const cells = await page.locator('.preview tbody tr').nth(1).locator('td').allInnerTexts()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Download' }).click()])
    const saved = download.suggestedFilename()
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.getByLabel('Name').fill('fleet.csv')
    await page.getByLabel('Who may read it').selectOption('TENANT')
    await page.getByLabel('Kind, as product').fill('harbour')
    await page.getByLabel('Its id').fill('7')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('heading', { name: 'fleet.csv' }).waitFor()
    const details = await page.locator('.details').innerText()
    return { width, said, cells, saved, details }
  })

  await scenario('query', async () => {
    const page = await visitor()
    await chooseFiles(page, [{ name: 'asked.csv', mimeType: 'text/csv', buffer: Buffer.from(SHIPS) }])
    await arrived(page, 'asked.csv')
    await page.getByRole('link', { name: 'Query' }).click()
    await page.getByLabel('File', { exact: true }).selectOption({ label: 'asked.csv' })
    const editor = page.getByRole('textbox', { name: 'Statement' })
    await editor.fill('')
    await editor.pressSequentially('SELECT s.sh')
    const offered = await page.getByRole('option').allInnerTexts()
    await editor.press('Tab')
    await editor.pressSequentially(', s.tons FROM S3Object s WHERE CAST(s.tons AS INT) > 9')
    await editor.press('Escape')
    await editor.press('Control+Enter')
    await page.locator('.result[data-state="done"]').waitFor()
    const said = await page.locator('.result [role=status]').innerText()
    const chart = await page.locator('.chart svg').getAttribute('aria-label')
    const shown = await page.locator('.long-row[aria-rowindex]').count()
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download as CSV' }).click(),
    ])
    const saved = await (await import('node:fs/promises')).readFile(await download.path(), 'utf8')
    await editor.fill('SELECT nothing FROM S3Object')
    await page.getByRole('button', { name: 'Run' }).click()
    const fault = await page.getByRole('alert').filter({ hasText: /\S/ }).innerText()
    return { offered, said, chart, shown, lines: saved.trim().split('\n').length, name: download.suggestedFilename(), fault }
  })

  await scenario('share', async () => {
    const page = await visitor()
    await chooseFiles(page, [{ name: 'gift.txt', mimeType: 'text/plain', buffer: Buffer.from('for you') }])
    await arrived(page, 'gift.txt')
    await openFile(page, 'gift.txt')
    await page.getByRole('button', { name: 'Share' }).click()
    await page.getByLabel('Password').fill('open, sesame')
    await page.getByRole('button', { name: 'Make a link' }).click()
    await page.getByRole('img', { name: 'The link as a QR code' }).waitFor()
    const address = await page.locator('.made input').inputValue()
    const guest = await (await person()).newPage()
    await guest.goto(address)
    await guest.getByLabel('Password').fill('shut, sesame')
    await guest.getByRole('button', { name: 'Open' }).click()
    const refusal = await guest.getByRole('alert').filter({ hasText: /\S/ }).innerText()
    await guest.getByLabel('Password').fill('open, sesame')
    await guest.getByRole('button', { name: 'Open' }).click()
    const [download] = await Promise.all([guest.waitForEvent('download'), guest.getByRole('link', { name: 'Download' }).click()])
    const saved = await (await import('node:fs/promises')).readFile(await download.path(), 'utf8')
    await page.locator('.link-list').getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('dialog').filter({ hasText: 'Revoke this link?' }).last().getByRole('button', { name: 'Revoke' }).click()
    await page.locator('.link-list .over').waitFor()
    await guest.goto(address)
    const gone = await guest.getByRole('heading', { level: 1 }).innerText()
    return { isOurs: address.startsWith(`${base}/s/`), refusal, saved, name: download.suggestedFilename(), gone }
  })

  await scenario('file request', async () => {
    const page = await visitor()
    await page.getByRole('link', { name: 'Links' }).click()
    await page.getByRole('button', { name: 'Request files' }).click()
    await page.getByRole('button', { name: 'Make the link' }).click()
    const address = await page.locator('.made input').inputValue()
    await page.keyboard.press('Escape')
    await page.getByRole('link', { name: 'Files', exact: true }).click()
    await page.getByRole('searchbox').waitFor()
    const guest = await (await person({ viewport: { width: 390, height: 800 } })).newPage()
    await guest.goto(address)
    await guest.locator('input[type=file]').setInputFiles({ name: 'from-guest.bin', mimeType: '', buffer: bytes(3e6, 41) })
    await guest.getByText('everything has arrived').waitFor()
    await page.locator('.file-row[data-id]').filter({ hasText: 'from-guest.bin' }).waitFor()
    return { toast: await page.locator('.toast').first().innerText() }
  })
}
