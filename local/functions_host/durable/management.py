"""temporary"""
class ManagementApi:
    def __init__(self, *args): pass
    async def handle(self, request): return None
