"""The upload face: tus 1.0 (and the IETF draft) in, commands out."""
