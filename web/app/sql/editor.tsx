/** A text area with colours under it and suggestions beside the caret: what screen readers and phones know already. */

import { useId, useRef, useState } from 'preact/hooks'

import { text } from '../text'
import { type Suggestion, suggestionsAt, tokensOf } from './language'

interface EditorProps {
  value: string
  columns: readonly string[]
  onChange: (value: string) => void
  onRun: () => void
}

interface Offer {
  from: number
  found: Suggestion[]
  chosen: number
  line: number
  column: number
}

export function Editor({ value, columns, onChange, onRun }: EditorProps) {
  const id = useId()
  const area = useRef<HTMLTextAreaElement>(null)
  const paint = useRef<HTMLPreElement>(null)
  const [offer, setOffer] = useState<Offer | null>(null)

  function suggest(sql: string, caret: number) {
    const { from, found } = suggestionsAt(sql, caret, columns)
    const before = sql.slice(0, from).split('\n')
    const [line, column] = [before.length, before.at(-1)?.length ?? 0]
    setOffer(found.length === 0 ? null : { from, found, chosen: 0, line, column })
  }

  function take(one: Suggestion) {
    if (offer === null || area.current === null) return
    const caret = offer.from + one.insert.length
    onChange(value.slice(0, offer.from) + one.insert + value.slice(area.current.selectionStart))
    setOffer(null)
    requestAnimationFrame(() => {
      area.current?.focus()
      area.current?.setSelectionRange(caret, caret)
    })
  }

  function onKey(event: KeyboardEvent) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) onRun()
    else if (offer === null) return
    else if (event.key === 'ArrowDown') setOffer({ ...offer, chosen: (offer.chosen + 1) % offer.found.length })
    else if (event.key === 'ArrowUp') setOffer({ ...offer, chosen: (offer.chosen + offer.found.length - 1) % offer.found.length })
    else if (event.key === 'Escape') setOffer(null)
    else if (event.key === 'Tab' || (event.key === 'Enter' && offer.chosen > 0)) {
      const one = offer.found[offer.chosen]
      if (one !== undefined) take(one)
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  return (
    <div class="editor" dir="ltr">
      <pre ref={paint} aria-hidden="true">
        {tokensOf(value).map((token, place) => (
          <span key={place} class={token.kind}>
            {token.text}
          </span>
        ))}
        {'\n'}
      </pre>
      <textarea
        ref={area}
        value={value}
        rows={5}
        spellcheck={false}
        autoComplete="off"
        autocapitalize="off"
        wrap="off"
        aria-label={text.sql.statement}
        aria-autocomplete="list"
        aria-controls={`${id}-list`}
        aria-activedescendant={offer === null ? undefined : `${id}-${offer.chosen}`}
        onInput={(event) => {
          const { value: sql, selectionStart } = event.currentTarget
          onChange(sql)
          suggest(sql, selectionStart)
        }}
        onScroll={(event) => {
          const { scrollLeft, scrollTop } = event.currentTarget
          paint.current?.scrollTo(scrollLeft, scrollTop)
          setOffer(null)
        }}
        onBlur={() => setOffer(null)}
        onKeyDown={onKey}
      />
      <ul
        id={`${id}-list`}
        role="listbox"
        aria-label={text.sql.suggestions}
        hidden={offer === null}
        style={offer === null ? {} : { insetBlockStart: `calc(${offer.line} * 1.5em + 14px)`, insetInlineStart: `calc(${offer.column}ch + 12px)` }}
      >
        {offer?.found.map((one, place) => (
          <li
            key={one.label}
            id={`${id}-${place}`}
            role="option"
            aria-selected={place === offer.chosen}
            onMouseDown={(event) => {
              event.preventDefault()
              take(one)
            }}
          >
            <span class={one.kind}>{one.label}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}
