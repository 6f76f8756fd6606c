import { MiddlewareConsumer, Module, NestModule } from '@nestjs/common';
import { ClientsModule, Transport } from '@nestjs/microservices';

import { AMQP_URL, ORDERSAGA_INBOX } from './config.js';
import { CorrelationMiddleware } from './correlation.js';
import { EventBusService } from './events/event-bus.service.js';
import { CancellationsController } from './orders/cancellations.controller.js';
import { OrderBook } from './orders/order-book.js';
import { OrderEventsController } from './orders/order-events.controller.js';
import { OrdersController } from './orders/orders.controller.js';
import { UsersController } from './users/users.controller.js';
import { ORDERSAGA, WarehouseService } from './warehouse/warehouse.service.js';

@Module({
  imports: [
    ClientsModule.register([
      {
        name: ORDERSAGA,
        transport: Transport.RMQ,
        // The queue is ordersaga's. Without noAssert the client would declare it with arguments of its own, which the
        // broker refuses; without persistent a message would not survive the broker's restart.
        options: { urls: [AMQP_URL], queue: ORDERSAGA_INBOX, noAssert: true, persistent: true },
      },
    ]),
  ],
  controllers: [OrdersController, CancellationsController, OrderEventsController, UsersController],
  providers: [EventBusService, OrderBook, WarehouseService],
})
export class AppModule implements NestModule {
  configure(consumer: MiddlewareConsumer) {
    consumer.apply(CorrelationMiddleware).forRoutes('{*path}');
  }
}
