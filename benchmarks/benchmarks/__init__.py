"""Speed, memory and accuracy of proxylm, followed over its commits by asv."""
