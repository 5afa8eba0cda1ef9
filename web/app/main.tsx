import './app.css'
import './theme'

import { effect } from '@preact/signals'
import { render } from 'preact'

import { hangUp } from './api'
import { watchFiles } from './files/store'
import { home, loadHome } from './home'
import { session } from './session'
import { Shell } from './shell'
import { language } from './text'
import { reset, restore } from './uploads/queue'

document.documentElement.lang = language.tag
document.documentElement.dir = language.dir

const place = document.getElementById('page')
if (place === null) throw new Error('the page has no place for the client')

const guest = /^\/s\/([^/]+)\/?$/.exec(location.pathname)
if (guest?.[1] !== undefined) {
  const token = decodeURIComponent(guest[1])
  void import('./share/guest').then(({ Guest }) => render(<Guest token={token} />, place))
} else {
  follow()
  render(<Shell />, place)
}

/** Begin anew whenever somebody else is logged in, or the same in another workspace. */
function follow(): void {
  let who = ''
  let stop: (() => void) | null = null
  effect(() => {
    const current = session.value
    const now = current === null ? '' : `${current.userId} ${current.tenantId ?? ''}`
    if (now === who) return
    who = now
    queueMicrotask(() => {
      stop?.()
      stop = null
      hangUp()
      reset()
      home.value = null
      if (current === null) return
      stop = watchFiles()
      void loadHome().catch(() => undefined)
      void restore()
    })
  })
}
