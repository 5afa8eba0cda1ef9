/** A link to be read off the screen by another device. */

import { encode } from 'uqr'

import { text } from '../text'

export function QrCode({ value }: { value: string }) {
  const { size, data } = encode(value, { border: 2 })
  const path = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : ''))).join('')
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={text.share.qr} shape-rendering="crispEdges">
      <rect width={size} height={size} class="qr-paper" />
      <path d={path} class="qr-ink" />
    </svg>
  )
}
