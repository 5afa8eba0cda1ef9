/** The list: what one sees, finds and does with it. */

import { arrived, bytes, chooseFiles, visitor } from '../harness.mjs'

export async function run(scenario) {
  await scenario('list', async () => {
    const page = await visitor()
    await chooseFiles(page, [
      { name: 'alpha.csv', mimeType: 'text/csv', buffer: Buffer.from('a,b\n1,2\n') },
      { name: 'beta.txt', mimeType: 'text/plain', buffer: bytes(5000) },
    ])
    await arrived(page, 'alpha.csv')
    await arrived(page, 'beta.txt')
    await page.locator('.file-row[data-id]').filter({ hasText: 'beta.txt' }).waitFor()
    await page.getByRole('searchbox').fill('ALPHA')
    await page.locator('.file-row[data-id]').filter({ hasText: 'beta.txt' }).waitFor({ state: 'detached' })
    await page.locator('.file-row[data-id]').filter({ hasText: 'alpha.csv' }).waitFor()
    const found = await page.locator('.file-row[data-id] .name a').allInnerTexts()
    await page.getByRole('searchbox').fill('')
    await page.getByRole('combobox', { name: 'Order' }).selectOption('NAME ASC')
    await page.waitForFunction(() => document.querySelector('.file-row[data-id] .name a')?.textContent === 'alpha.csv')
    await page.getByRole('combobox', { name: 'Type' }).selectOption('csv')
    await page.locator('.file-row[data-id]').filter({ hasText: 'beta.txt' }).waitFor({ state: 'detached' })
    await page.locator('.file-row[data-id]').filter({ hasText: 'alpha.csv' }).waitFor()
    const csv = await page.locator('.file-row[data-id] .name a').allInnerTexts()
    return { found, csv }
  })

  await scenario('trash by keyboard', async () => {
    const page = await visitor()
    await chooseFiles(page, [{ name: 'unwanted.txt', mimeType: 'text/plain', buffer: bytes(10) }])
    await arrived(page, 'unwanted.txt')
    const row = page.locator('.file-row[data-id]').filter({ hasText: 'unwanted.txt' })
    await row.waitFor()
    await row.focus()
    await page.keyboard.press('Space')
    const selected = await page.locator('.selection strong').innerText()
    await page.keyboard.press('Delete')
    await row.waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Trash' }).click()
    await row.waitFor()
    await row.getByRole('checkbox').check()
    await page.locator('.selection').getByRole('button', { name: 'Restore' }).click()
    await row.waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'Files', exact: true }).click()
    await row.waitFor()
    return { selected }
  })
}
