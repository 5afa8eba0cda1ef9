/** The page for everybody, used as people use it. Started by tests/e2e/test_client.py. */

import { browser, scenario, seen } from './harness.mjs'

for (const part of ['account', 'files', 'uploads', 'sharing', 'team', 'look', 'pictures']) {
  const { run } = await import(`./client/${part}.mjs`)
  await run(scenario)
}
await browser.close()
await new Promise((resolve) => {
  process.stdout.write(`${JSON.stringify({ scenario: 'everywhere', facts: seen })}\n`, resolve)
})
process.exit(0)
