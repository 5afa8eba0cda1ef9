/** Others: members, what they see of each other at once, limits, keys. */

import { arrived, ask, base, bytes, chooseFiles, control, person, session, visitor } from '../harness.mjs'

const BERTA = { as: 'berta@example.org', by: 'another long one' }

export async function run(scenario) {
  await scenario('invite', async () => {
    const page = await visitor()
    await page.getByRole('link', { name: 'Team' }).click()
    await page.getByLabel('E-mail').fill(BERTA.as)
    await page.getByRole('button', { name: 'Invite' }).click()
    const { text } = await control('letter', { to: BERTA.as })
    const guest = await (await person()).newPage()
    await guest.goto(`${base}/?invite=${encodeURIComponent(/[A-Za-z0-9_-]{30,}(\.[A-Za-z0-9_-]+)*/.exec(text)[0])}`)
    await guest.getByLabel('E-mail').fill(BERTA.as)
    await guest.getByLabel('Password').fill(BERTA.by)
    await guest.getByLabel('Your name').fill('Berta')
    await guest.getByRole('button', { name: 'Sign up' }).click()
    await guest.locator('.shell').waitFor()
    await page.reload()
    const role = await page.getByLabel('Role of Berta').inputValue()
    return { tenant: await guest.locator('.tenant').innerText(), role }
  })

  await scenario('two browsers', async () => {
    const anna = await visitor()
    const berta = await visitor(BERTA)
    await berta.getByLabel('New files are for').selectOption('TENANT')
    await anna.locator('.list, .empty').first().waitFor()
    // Both watch before anything happens.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    await chooseFiles(berta, [{ name: 'news.bin', mimeType: '', buffer: bytes(2e6, 51) }])
    const begun = arrived(berta, 'news.bin').then(() => performance.now())
    await anna.locator('.file-row[data-id]').filter({ hasText: 'news.bin' }).waitFor()
    const seconds = (performance.now() - (await begun)) / 1000
    const toast = await anna.locator('.toast').first().innerText()
    await berta.locator('.file-row[data-id]').filter({ hasText: 'news.bin' }).getByRole('link').click()
    await berta.getByRole('button', { name: 'Edit' }).click()
    await berta.getByLabel('Name').fill('old news.bin')
    await berta.getByRole('button', { name: 'Save' }).click()
    await anna.locator('.file-row[data-id]').filter({ hasText: 'old news.bin' }).waitFor()
    return { seconds, toast }
  })

  await scenario('limits', async () => {
    const page = await visitor()
    await page.getByRole('link', { name: 'Team' }).click()
    await page.getByLabel('Types taken').fill('text/csv')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved').waitFor()
    await page.getByRole('link', { name: 'Files', exact: true }).click()
    // Limits hold a second after they were set.
    await new Promise((resolve) => setTimeout(resolve, 1200))
    await chooseFiles(page, [{ name: 'wrong.txt', mimeType: 'text/plain', buffer: Buffer.from('plain text') }])
    const said = await page.locator('[data-upload="wrong.txt"] .fault').innerText()
    const { accessToken } = await session()
    const free = 'mutation ($input: UpdateTenantInput!) { updateTenant(input: $input) { userErrors { message } } }'
    await ask(free, { input: { allowedContentTypes: null } }, accessToken)
    await new Promise((resolve) => setTimeout(resolve, 1200))
    return { said }
  })

  await scenario('keys', async () => {
    const page = await visitor()
    await page.getByRole('link', { name: 'API keys' }).click()
    await page.getByRole('button', { name: 'Make a key' }).click()
    await page.getByLabel('What it is for').fill('backup')
    await page.getByRole('dialog').getByRole('button', { name: 'Make a key' }).click()
    const key = await page.getByRole('textbox', { name: 'The key' }).inputValue()
    const { viewer } = await ask('{ viewer { username } }', {}, key)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Revoke backup' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await page.getByText('There are no keys').waitFor()
    return { viewer: viewer.username }
  })
}
