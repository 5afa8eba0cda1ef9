import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'

const COMPRESSED = /\.(js|css|html|svg)$/
const SIZE_BYTES_MIN = 1024 // below that, the head of an answer outweighs what is saved

/** Lay a compressed twin beside every asset, so that the server need not compress anything itself. */
function compressed(): Plugin {
  return {
    name: 'lighterage-compressed',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        for (const item of Object.values(bundle)) {
          if (!COMPRESSED.test(item.fileName)) continue
          const content = Buffer.from(item.type === 'chunk' ? item.code : item.source)
          if (content.length < SIZE_BYTES_MIN) continue
          const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }
          this.emitFile({ type: 'asset', fileName: `${item.fileName}.br`, source: brotliCompressSync(content, quality) })
          this.emitFile({ type: 'asset', fileName: `${item.fileName}.gz`, source: gzipSync(content, { level: 9 }) })
        }
      },
    },
  }
}

// Every asset is a file of its own under /assets/, named by its hash: nothing inline, nothing from elsewhere.
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: '/',
  // Uppy brings a Preact of its own for a part that is not used here.
  resolve: { dedupe: ['preact'] },
  plugins: [compressed()],
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
  build: {
    outDir: '../dist/app',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
})
