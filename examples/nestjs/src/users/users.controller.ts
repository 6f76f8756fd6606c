import { randomUUID } from 'node:crypto';

import { Body, Controller, HttpCode, Post } from '@nestjs/common';

import { UserRegisteredEvent } from '../events/base-event.js';
import { EventBusService } from '../events/event-bus.service.js';

@Controller('users')
export class UsersController {
  constructor(private readonly eventBus: EventBusService) {}

  @Post()
  @HttpCode(202)
  async register(@Body() user: { userId?: string; email: string; username: string }) {
    const event = new UserRegisteredEvent(user.userId ?? randomUUID(), user.email, user.username);
    await this.eventBus.publish(event);
    return { userId: event.aggregateId, eventId: event.id };
  }
}
