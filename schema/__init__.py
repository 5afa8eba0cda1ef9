"""GraphQL types, inputs and errors, and the printed SDL. No root fields: those are in resolvers."""
