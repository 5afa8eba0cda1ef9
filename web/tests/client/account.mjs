/** Log-in, sign-up, the letter, and log-out. */

import { base, control, email, logIn, password, person, visitor } from '../harness.mjs'

export async function run(scenario) {
  await scenario('wrong password', async () => {
    const page = await (await person()).newPage()
    await page.goto(`${base}/`)
    await logIn(page, { by: `${password}, but wrong` })
    const said = await page.getByRole('alert').filter({ hasText: /\S/ }).innerText()
    return { said, shell: await page.locator('.shell').count() }
  })

  await scenario('sign up', async () => {
    const page = await (await person()).newPage()
    await page.goto(`${base}/`)
    await page.getByRole('button', { name: /Sign up/ }).click()
    await page.getByLabel('E-mail').fill('carla@example.org')
    await page.getByLabel('Password').fill('a long enough one')
    await page.getByLabel('Name of the workspace').fill('Quay 7')
    await page.getByRole('button', { name: 'Sign up' }).click()
    await page.getByText('A letter is on its way').waitFor()
    const { text } = await control('letter', { to: 'carla@example.org' })
    await page.getByLabel('Code of the letter').fill(/https?:\S+token=\S+/.exec(text)[0])
    await page.getByRole('button', { name: 'Confirm' }).click()
    await logIn(page, { as: 'carla@example.org', by: 'a long enough one' })
    return { tenant: await page.locator('.tenant').innerText(), empty: await page.locator('.empty h2').innerText() }
  })

  await scenario('log out', async () => {
    const page = await visitor()
    const other = await page.context().newPage()
    await other.goto(`${base}/`)
    await other.locator('.shell').waitFor() // the log-in is that of every tab
    await page.locator('.menu summary').click()
    await page.getByRole('button', { name: 'Log out', exact: true }).click()
    await page.getByRole('heading', { name: 'Log in' }).waitFor()
    await other.getByRole('heading', { name: 'Log in' }).waitFor()
    return { kept: await page.evaluate(() => localStorage.getItem('lighterage.session')), email }
  })
}
