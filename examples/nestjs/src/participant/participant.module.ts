import { Module } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';

import { InventoryController } from './inventory.controller.js';
import { PaymentController } from './payment.controller.js';
import { ProblemFilter } from './problem.js';
import { SignatureGuard } from './signature.guard.js';
import { Store } from './store.js';
import { TraitsController } from './traits.controller.js';

/** A warehouse and a payment service that ordersaga calls over HTTP. It fulfils api/participant.yaml. */
@Module({
  controllers: [TraitsController, InventoryController, PaymentController],
  providers: [Store, { provide: APP_GUARD, useClass: SignatureGuard }, { provide: APP_FILTER, useClass: ProblemFilter }],
})
export class ParticipantModule {}
