/** A long list of which only what is in sight is there: a hundred thousand rows cost as much as twenty. */

import type { ComponentChildren } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

const OVERSCAN_ROWS = 8

interface VirtualProps {
  count: number
  rowHeight: number
  class?: string
  label: string
  children: (from: number, to: number) => ComponentChildren
  /** Called with the last row in sight whenever that changes. */
  onSeen?: (to: number, from: number) => void
  role?: 'rowgroup' | 'list'
}

export function Virtual({ count, rowHeight, class: name = '', label, children, onSeen, role = 'rowgroup' }: VirtualProps) {
  const box = useRef<HTMLDivElement>(null)
  const [range, setRange] = useState({ from: 0, to: 30 })
  useLayoutEffect(() => {
    const shown = box.current
    if (shown === null) return
    const look = () => {
      const from = Math.max(0, Math.floor(shown.scrollTop / rowHeight) - OVERSCAN_ROWS)
      const to = Math.ceil((shown.scrollTop + shown.clientHeight) / rowHeight) + OVERSCAN_ROWS
      setRange((old) => (old.from === from && old.to === to ? old : { from, to }))
    }
    look()
    shown.addEventListener('scroll', look, { passive: true })
    const resized = new ResizeObserver(look)
    resized.observe(shown)
    return () => {
      shown.removeEventListener('scroll', look)
      resized.disconnect()
    }
  }, [rowHeight])
  const from = Math.min(range.from, Math.max(0, count - 1))
  const to = Math.min(range.to, count)
  useEffect(() => onSeen?.(to, from), [to, from, count])
  return (
    <div ref={box} class={`virtual ${name}`}>
      <div style={{ blockSize: `${count * rowHeight}px` }} class="virtual-space">
        <div role={role} aria-label={label} style={{ transform: `translateY(${from * rowHeight}px)` }}>
          {children(from, to)}
        </div>
      </div>
    </div>
  )
}
