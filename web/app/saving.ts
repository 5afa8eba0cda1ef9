/** Hands what the server answers over as a file, where the request needs a token that no link could carry. */

import { authorised, Problem, sentence } from './api'
import { text } from './text'

const LET_GO_MS = 60_000 // by then the browser has what it needs of the address

export async function saveAnswer(url: string, init: RequestInit, name: string): Promise<void> {
  const answer = await authorised(url, init)
  if (!answer.ok) {
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string; code?: string }
    const words = problem.detail === undefined ? text.errors.http(String(answer.status)) : sentence(problem.detail)
    throw new Problem(words, problem.code ?? 'HTTP')
  }
  const address = URL.createObjectURL(await answer.blob())
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(address), LET_GO_MS)
}
