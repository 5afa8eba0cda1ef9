// Lays Swagger UI out in dist/swagger: the package's own built files, our page around them.
import { copyFile, mkdir } from 'node:fs/promises'

const web = new URL('..', import.meta.url)
const dist = new URL('dist/swagger/', web)
const files = {
  'swagger/index.html': 'index.html',
  'swagger/page.js': 'page.js',
  'graphiql/icon.svg': 'icon.svg',
  'node_modules/swagger-ui-dist/swagger-ui.css': 'swagger-ui.css',
  'node_modules/swagger-ui-dist/swagger-ui-bundle.js': 'swagger-ui-bundle.js',
}

await mkdir(dist, { recursive: true })
for (const [from, to] of Object.entries(files)) {
  await copyFile(new URL(from, web), new URL(to, dist))
}
