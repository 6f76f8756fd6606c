import { Controller, Get } from '@nestjs/common';

@Controller('traits')
export class TraitsController {
  @Get()
  describe() {
    return { name: 'nestjs-example', contract: 1, provides: ['inventory', 'payment'] };
  }
}
