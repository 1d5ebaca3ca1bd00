"""What lies on the disk: files written whole or not at all, their records, and what DVC keeps of them."""
