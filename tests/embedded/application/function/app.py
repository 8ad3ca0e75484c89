def handler(_event: object, _context: object) -> str:
    return "hello"
