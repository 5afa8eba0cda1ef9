/**
 * Takes the pictures of docs/images: LIGHTERAGE_TEST_SCENARIO=pictures LIGHTERAGE_TEST_PICTURES=FOLDER with the tests.
 */

import { arrived, bytes, chooseFiles, line, pictures, visitor } from '../harness.mjs'

const SHIPS = ['Anna,Leer,120', 'Bertha,Bremen,340', 'Cleo,Emden,90', 'Dora,Hamburg,410', 'Elsa,Kiel,260', 'Frida,Husum,180']
const VIEWPORT = { width: 1100, height: 700 }

export async function run(scenario) {
  if (process.env.LIGHTERAGE_TEST_SCENARIO !== 'pictures') return
  await scenario('pictures', async () => {
    const wire = await line()
    const page = await visitor({ at: wire.url, viewport: VIEWPORT })
    const both = async (name) => {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: `${pictures}/${name}-${colorScheme}.png` })
      }
    }
    await page.getByLabel('New files are for').selectOption('TENANT')
    await chooseFiles(page, [
      { name: 'tides 2026.json', mimeType: 'application/json', buffer: Buffer.from('{"high": "04:12"}') },
      { name: 'quay 7.txt', mimeType: 'text/plain', buffer: bytes(300_000, 2) },
      { name: 'harbour plan.pdf', mimeType: 'application/pdf', buffer: Buffer.concat([Buffer.from('%PDF-1.7\n'), bytes(900_000, 3)]) },
      { name: 'ships.csv', mimeType: 'text/csv', buffer: Buffer.from(`ship,port,tons\n${SHIPS.join('\n')}\n`) },
    ])
    for (const name of ['ships.csv', 'harbour plan.pdf']) await arrived(page, name)
    await page.getByText('MB used').waitFor()
    await page.getByRole('button', { name: 'Clear finished' }).click()
    wire.slow(1e6)
    await chooseFiles(page, [
      { name: 'survey-north.tif', mimeType: 'image/tiff', buffer: bytes(9e6, 5) },
      { name: 'survey-south.tif', mimeType: 'image/tiff', buffer: bytes(8e6, 6) },
    ])
    await page.waitForFunction(() => {
      const bars = [...document.querySelectorAll('[data-upload] [role=progressbar]')]
      return bars.length === 2 && bars.every((bar) => Number(bar.ariaValueNow) > 30)
    })
    await both('files')
    wire.mend()
    await page.getByRole('link', { name: 'ships.csv' }).click()
    await page.locator('a[href^="#/query/"]').click()
    await page.getByRole('button', { name: 'Run' }).click()
    await page.locator('.chart').waitFor()
    await both('query')
  })
}
