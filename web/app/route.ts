/** Where one is: the part of the address behind `#`, so that the server needs one page only. */

import { signal } from '@preact/signals'

export interface Route {
  name: string
  id: string
}

function parse(): Route {
  const [name = '', id = ''] = location.hash.replace(/^#\/?/, '').split('/')
  return { name: name === '' ? 'files' : name, id: decodeURIComponent(id) }
}

export const route = signal<Route>(parse())
addEventListener('hashchange', () => {
  route.value = parse()
})

export function hrefOf(name: string, id = ''): string {
  return id === '' ? `#/${name}` : `#/${name}/${encodeURIComponent(id)}`
}

export function go(name: string, id = ''): void {
  location.hash = hrefOf(name, id)
}
