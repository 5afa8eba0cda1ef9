/**
 * graphql-yoga with our SDL over records in memory: no log-in, no database, no rights.
 *
 *   node benchmarks/peers/yoga.mjs PORT SDL DATA
 *
 * DATA is what our own server answered: `{"viewer": {...}, "files": {...}}`, the whole of a page.
 */

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createPubSub, createSchema, createYoga } from 'graphql-yoga'
import { useServer } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'

const [port, sdl, data] = process.argv.slice(2)
const { viewer, files } = JSON.parse(readFileSync(data, 'utf8'))
const byId = new Map(files.nodes.map((file) => [file.id, file]))
const pubsub = createPubSub()
let cursor = 0

const schema = createSchema({
  typeDefs: readFileSync(sdl, 'utf8'),
  resolvers: {
    Query: { viewer: async () => viewer, files: async () => files },
    Mutation: {
      updateFile: async (_, { input }) => {
        const file = { ...byId.get(input.fileId), name: input.name, version: byId.get(input.fileId).version + 1 }
        byId.set(file.id, file)
        cursor += 1
        const at = new Date().toISOString()
        pubsub.publish('files', { cursor: `${cursor}`, action: 'UPDATED', at, fileId: file.id, file, actor: viewer })
        return { file, userErrors: [] }
      },
    },
    Subscription: { fileEvents: { subscribe: () => pubsub.subscribe('files'), resolve: (event) => event } },
  },
  resolverValidationOptions: { requireResolversForResolveType: 'ignore' },
})

const yoga = createYoga({ schema, logging: false, graphiql: false, maskedErrors: true })
const server = createServer(yoga)
const sockets = new WebSocketServer({ server, path: yoga.graphqlEndpoint })
useServer(
  {
    execute: (args) => args.rootValue.execute(args),
    subscribe: (args) => args.rootValue.subscribe(args),
    onSubscribe: async (context, id, payload) => {
      const { schema, execute, subscribe, contextFactory, parse, validate } = yoga.getEnveloped({
        ...context,
        req: context.extra.request,
        socket: context.extra.socket,
        params: payload,
      })
      const args = {
        schema,
        operationName: payload.operationName,
        document: parse(payload.query),
        variableValues: payload.variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      }
      const errors = validate(args.schema, args.document)
      return errors.length > 0 ? errors : args
    },
  },
  sockets,
)
server.listen(Number(port), '127.0.0.1')
