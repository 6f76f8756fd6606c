import 'reflect-metadata';

import { NestFactory } from '@nestjs/core';

import { ParticipantModule } from './participant.module.js';

// rawBody: the signature is that of the bytes that were received.
const app = await NestFactory.create(ParticipantModule, { rawBody: true });
app.enableShutdownHooks();
await app.listen(Number(process.env.PORT ?? 9000), '127.0.0.1');
console.log(`the participant listens on ${await app.getUrl()}`);
