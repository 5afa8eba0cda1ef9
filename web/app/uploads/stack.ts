/** Sends the requests of tus as whoever is logged in, and waits where it would be in vain: no server, no log-in. */

import { DefaultHttpStack, type HttpRequest, type HttpResponse, type HttpStack } from 'tus-js-client'

import { reachable, tellAway, tellStatus } from '../connection'

export interface Credentials {
  /** Give a token; waits while a log-in is needed. Null: guests need none. */
  token(): Promise<string | null>
  refused(token: string): Promise<void>
}

export class PatientStack implements HttpStack {
  readonly #inner = new DefaultHttpStack({})

  constructor(private readonly credentials: Credentials) {}

  createRequest(method: string, url: string): HttpRequest {
    return new PatientRequest(this.#inner, this.credentials, method, url)
  }

  getName(): string {
    return 'PatientStack'
  }
}

class PatientRequest implements HttpRequest {
  #request: HttpRequest
  #headers: [string, string][] = []
  #onProgress: (bytesSent: number) => void = () => undefined
  #isAborted = false

  constructor(
    private readonly stack: HttpStack,
    private readonly credentials: Credentials,
    private readonly method: string,
    private readonly url: string,
  ) {
    this.#request = stack.createRequest(method, url)
  }

  getMethod = (): string => this.method
  getURL = (): string => this.url
  getHeader = (header: string): string | undefined => this.#request.getHeader(header)
  getUnderlyingObject = (): unknown => this.#request.getUnderlyingObject()

  setHeader(header: string, value: string): void {
    this.#headers.push([header, value])
    this.#request.setHeader(header, value)
  }

  setProgressHandler(handler: (bytesSent: number) => void): void {
    this.#onProgress = handler
    this.#request.setProgressHandler(handler)
  }

  async send(body?: unknown): Promise<HttpResponse> {
    await reachable()
    const token = await this.credentials.token()
    const answer = await this.#send(body, token)
    if (answer.getStatus() !== 401 || token === null) return answer
    // Nothing of the body was read. Were this told to tus, it would begin anew instead of going on.
    await this.credentials.refused(token)
    this.#request = this.stack.createRequest(this.method, this.url)
    for (const [name, value] of this.#headers) this.#request.setHeader(name, value)
    this.#request.setProgressHandler(this.#onProgress)
    return this.#send(body, await this.credentials.token())
  }

  async #send(body: unknown, token: string | null): Promise<HttpResponse> {
    if (this.#isAborted) return new Promise(() => undefined)
    if (token !== null) this.#request.setHeader('Authorization', `Bearer ${token}`)
    try {
      const answer = await this.#request.send(body)
      tellStatus(answer.getStatus())
      return answer
    } catch (error) {
      if (!this.#isAborted) tellAway()
      throw error
    }
  }

  abort(): Promise<void> {
    this.#isAborted = true
    return this.#request.abort()
  }
}
