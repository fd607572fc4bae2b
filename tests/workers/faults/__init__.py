"""One tiny handler per way an attempt can end. They run in real children."""
